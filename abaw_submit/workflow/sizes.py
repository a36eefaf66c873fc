"""How much disk and how many hours a run takes, from its rows and settings and rates that were measured.

The rates are those of docs/explanation/speed.md: whole stages on small corpora, so a long run is rather
faster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from abaw_submit.config import read_toml
from abaw_submit.corpus.rows import official_rows
from abaw_submit.corpus.tracklists import read_tracks
from abaw_submit.errors import UserError
from abaw_submit.features.registry import get_extractor
from abaw_submit.models.settings import VitSize
from abaw_submit.tasks import Task, any_task
from abaw_submit.training.settings import FinetuneSettings, TmfSettings
from abaw_submit.workflow.doctor import Finding, free_gib
from abaw_submit.workflow.rates import H100, Rates
from abaw_submit.workflow.settings import RunSettings, load_run

CROP_BYTES = 12_000  # a face of 224 px as jpg at the default quality; 9 to 14 kB on the seven real clips
FLOAT16_BYTES = 2
CROPPING = "cropping (one core)"
# of the annotated rows; 44 % of EXPR rows carry no label
VALID_SHARE = {"AU": 0.9, "EXPR": 0.56, "VA": 0.99, "MTL": 0.99}


@dataclass(frozen=True)
class Needs:
    """What a run takes.

    Attributes:
        rows: rows of all tracks, each once.
        disk_gib: part of the run -> GiB.
        hours: part of the run -> hours: cropping on one core, the rest on one device.
        machine: what the rates behind the hours were measured on.
    """

    rows: int
    disk_gib: dict[str, float]
    hours: dict[str, float]
    machine: str = H100.machine

    def table(self) -> list[str]:
        """Hours and disk of each part, a line each, and their sums."""
        both = [(name, f"{value:10.2f} h") for name, value in self.hours.items()]
        both += [(f"{name} on disk", f"{value:10.2f} GiB") for name, value in self.disk_gib.items()]
        device = sum(value for name, value in self.hours.items() if name != CROPPING)
        both += [
            (f"all but cropping ({self.machine})", f"{device:10.2f} h"),
            ("disk beside the crops", f"{sum(self.disk_gib.values()) - self.disk_gib['crops']:10.2f} GiB"),
        ]
        return [f"{name:<48}{value}" for name, value in both]

    def findings(self, disk: Path) -> list[Finding]:
        """The disk against what is free, and the hours, as `doctor` says them."""
        wanted, free = sum(self.disk_gib.values()), free_gib(disk)
        parts = ", ".join(f"{name} {value:.1f}" for name, value in self.disk_gib.items())
        detail = f"about {wanted:.1f} GiB for {self.rows:,} rows ({parts}); {free:.1f} GiB free"
        fits = free >= wanted
        fix = "" if fits else "Free some space, or work on another disk (--disk FOLDER asks about it)."
        hours = ", ".join(f"{name} {_time(value)}" for name, value in self.hours.items())
        return [
            Finding("disk for this run", "ok" if fits else "missing", detail, fix),
            Finding(
                "time for this run",
                "note",
                f"about {hours} on {self.machine}",
                "On this machine: abaw-submit run submission -c CONFIG --dry-run --cost tries it.",
            ),
        ]


def needs(config: Path, run: RunSettings | None = None, rates: Rates | None = None) -> Needs | None:
    """What the run of a config takes, or None where its rows cannot be known yet.

    Args:
        config: a TOML file with a `[run]` section.
        run: that section, if something of it was replaced on the command line.
        rates: of the machine, for the encoder of this config; None: those of an H100.
    """
    run = run or load_run(config)
    tasks = [any_task(name) for name in run.tasks.split()]
    try:
        rows = {task.key: _rows(run, task) for task in tasks}
    except (UserError, OSError):
        return None
    everything = {track: n for both in rows.values() for part in both for track, n in part.items()}
    if not everything:
        return None
    return _needs(run, tasks, rows, sum(everything.values()), read_toml(config), rates)


def _rows(run: RunSettings, task: Task) -> tuple[dict[str, int], dict[str, int]]:
    """Rows of the annotated and of the test tracks."""
    parts = [official_rows(run.annotations, part) for part in task.parts] if run.annotations else []
    annotated = {track: n for part in parts for track, n in part.items()}
    value = getattr(run, f"template_{task.key}")
    test = read_tracks(Path(value)) if value and Path(value).is_file() else {}
    return annotated, {track: n or 0 for track, n in test.items()}


def _needs(
    run: RunSettings,
    tasks: Sequence[Task],
    rows: dict[str, tuple[dict[str, int], dict[str, int]]],
    everything: int,
    config: dict[str, Any],
    given: Rates | None,
) -> Needs:
    size = encoder_size(config)
    rates = given or H100.for_size(size)
    models = run.folds + run.official
    annotated = {t.key: sum(rows[t.key][0].values()) for t in tasks}
    seen = {t.key: annotated[t.key] + sum(rows[t.key][1].values()) for t in tasks}
    audio = {name for t in tasks for name in getattr(run, f"audio_{t.key}").split()}
    numbers = sum(get_extractor(name).dim or 768 for name in audio)
    parameters = 12 * size.depth * size.dim**2
    gib = 2.0**30
    # with `temp` those of a task go before those of the next are made
    kept = max(seen.values()) if run.temp else sum(seen.values())
    disk = {
        "crops": everything * CROP_BYTES / gib,
        "features": (kept * size.dim * models + everything * numbers) * FLOAT16_BYTES / gib,
        # the weights; and, of what is being trained, a state to go on from: these and AdamW's two moments
        "checkpoints": (len(tasks) * models + 3 * run.side_by_side) * parameters * 4 / gib,
    }
    share = (run.folds - 1) / run.folds if run.folds > 1 else 1.0
    frames = sum(annotated[t.key] * VALID_SHARE[t.name] for t in tasks) * share * models
    step = int(_setting(config, "finetune", "frame_step", FinetuneSettings().frame_step))
    epochs = int(_setting(config, "finetune", "epochs", FinetuneSettings().epochs))
    tmf_epochs = int(_setting(config, "train", "epochs", TmfSettings().epochs))
    rows_seen = sum(annotated.values()) * share * models * len(run.networks)
    hours = {
        CROPPING: everything / rates.crop / 3600,
        f"fine-tuning of {len(tasks) * models} encoders": frames * epochs / step / rates.finetune / 3600,
        "visual features": sum(seen.values()) * models / rates.extract / 3600,
        "sequence models": rows_seen * tmf_epochs / rates.train / 3600,
    }
    return Needs(everything, disk, hours, rates.machine)


def encoder_size(config: dict[str, Any]) -> VitSize:
    """The size of the encoder that is pre-trained; published weights are taken to be ViT-B/16."""
    fields = VitSize.__dataclass_fields__
    return VitSize(**{k: v for k, v in config.get("pretrain", {}).items() if k in fields})


def _setting(config: dict[str, Any], command: str, name: str, default: Any) -> Any:
    return config.get(command, {}).get(name, default)


def _time(hours: float) -> str:
    return f"{hours * 60:.0f} min" if hours < 1 else f"{hours:.1f} h" if hours < 10 else f"{hours:.0f} h"
