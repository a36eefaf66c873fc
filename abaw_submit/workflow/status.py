"""How far a run is, read from the records its stages wrote."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from abaw_submit.config import RunSettings


@dataclass(frozen=True)
class StageStatus:
    """One record found: its place, stage, state ("done" or "failures") and what it counts."""

    path: str
    stage: str
    state: str
    seconds: float
    counts: str


def run_status(run: RunSettings, root: Path) -> list[StageStatus]:
    """Every stage record of a run, in path order. Records of single tracks are left out.

    Args:
        run: the `[run]` settings.
        root: the folder that holds work/, checkpoints/, splits/ and submissions/.
    """
    places = [root / kind / run.name for kind in ("work", "checkpoints", "submissions")]
    paths = [p for place in places for p in place.rglob("*record.json") if not _one_track(p)]
    paths += root.glob(f"splits/{run.name}_*.record.json")
    rows = []
    for path in sorted(paths):
        record = json.loads(path.read_text(encoding="utf-8"))
        if "stage" not in record:
            continue
        failures = len(record["failures"])
        counts = ", ".join(f"{v:g} {k}" for k, v in record["counts"].items())
        rows.append(
            StageStatus(
                path.relative_to(root).as_posix().removesuffix("/record.json").removesuffix(".record.json"),
                record["stage"],
                f"{failures} failed" if failures else "done",
                float(record["seconds"]),
                counts,
            )
        )
    return rows


def _one_track(path: Path) -> bool:
    return path.parent.parent.name == "crops"
