"""The part of the page about how the run was made: training curves, submission, plan, stages."""

from __future__ import annotations

import csv
from typing import Any

from abaw_submit import charts
from abaw_submit.report.blocks import Block, Chart, Section, Table, Text
from abaw_submit.report.find import Run, TaskRun
from abaw_submit.store import read_record, sha256_file
from abaw_submit.textfile import read_json


def training_section(run: TaskRun) -> Section | None:
    """Loss and validation score of every fold's TMF over the epochs."""
    loss: list[dict[str, Any]] = []
    score: list[dict[str, Any]] = []
    for folder in run.folds:
        path = folder / "history.csv"
        if not path.is_file():
            continue
        series = folder.name.replace("_", " ")
        for row in csv.DictReader(path.read_text(encoding="utf-8").splitlines()):
            x = int(float(row["epoch"]))
            loss.append({"x": x, "y": float(row["loss"]), "series": series})
            if row.get("validation"):
                score.append({"x": x, "y": float(row["validation"]), "series": series})
    if not loss:
        return None
    blocks: list[Block] = [
        Chart(
            charts.lines(loss, "epoch", "training loss"), "The loss on the training tracks, for every fold."
        ),
    ]
    if score:
        blocks.append(
            Chart(
                charts.lines(score, "epoch", run.task.metric),
                "The score on the held-out tracks after every epoch. Nothing is chosen by it: the last"
                " epoch's weights are kept, so it shows only whether the training had settled.",
            )
        )
    return Section("Training", blocks, prefix=run.task.name)


def submission_section(run: TaskRun) -> Section | None:
    """The zip, and the candidates of `plan` where there are some."""
    blocks: list[Block] = []
    if run.zip:
        text = f"{run.zip.name}: {run.zip.stat().st_size:,} bytes, sha256 {sha256_file(run.zip)}."
        blocks.append(Text(f"{text} It was checked against the template before it was written."))
    if run.plan:
        blocks += _plan(read_json(run.plan, dict[str, Any]))
    return Section("Submission", blocks, prefix=run.task.name) if blocks else None


def _plan(plan: dict[str, Any]) -> list[Block]:
    rows, points, lessons = [], [], []
    for c in plan["candidates"]:
        low, high = c["interval"]
        step = c["step"]
        rows.append(
            [
                f"{c['number']}. {c['name']}",
                c["what"],
                f"{c['score']:.4f}",
                f"{low:.4f} … {high:.4f}",
                "" if step is None else f"{step['gain']:+.4f} ({step['low']:+.4f} … {step['high']:+.4f})",
                f"{c['rows_changed']:,}",
            ]
        )
        points.append(
            {"name": c["name"], "value": c["score"], "low": low, "high": high, "kind": "cross-fitted"}
        )
        lessons.append([f"{c['number']}. {c['name']}", c["teaches"]])
    head = ["candidate", "what it is", plan["metric"], "95 % interval", "step", "test rows changed"]
    return [
        Chart(
            charts.intervals(points, plan["metric"]),
            "The candidates of `abaw-submit plan`, each scored on tracks that had no say in it.",
        ),
        Table(
            head, rows, "The step is the paired difference to the first candidate, with its 95 % interval."
        ),
        Table(
            ["candidate", "what its test score would teach"],
            lessons,
            "A submission is worth most when its test score settles a question.",
        ),
    ]


def crops_section(run: Run) -> Section | None:
    """What could not be cropped."""
    record = run.crops
    if record is None or not record["failures"]:
        return None
    rows = [[f["item"], f["why"]] for f in record["failures"]]
    return Section("Failed", [Table(["item", "why"], rows, "Videos or tracks that could not be cropped.")])


def stages_section(run: Run) -> Section:
    """Seconds and memory of every stage, the slowest first."""
    found = []
    for path in run.layout.recorded():
        record = read_record(path)
        if record is not None:
            shown = path.relative_to(run.layout.root).as_posix()
            found.append((float(record["seconds"]), record, shown))
    found.sort(key=lambda f: (-f[0], f[2]))
    rows = [
        [record["stage"], made, f"{seconds:.1f}", f"{record['peak_memory_mib']:.0f}", record["fingerprint"]]
        for seconds, record, made in found
    ]
    total = sum(seconds for seconds, _, _ in found)
    caption = f"{len(rows)} stages, {total:,.0f} seconds together; they may have run side by side."
    return Section(
        "Stages",
        [Table(["stage", "made", "seconds", "peak MiB", "fingerprint"], rows, caption, open_rows=12)],
    )
