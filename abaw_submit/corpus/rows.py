"""Official row counts: what annotation files and templates say, never what a container says."""

from __future__ import annotations

from pathlib import Path

from abaw_submit.corpus.annotations import annotation_files, no_annotations
from abaw_submit.corpus.ledger import LEDGER_NAME, read_ledger
from abaw_submit.corpus.lines import read_lines
from abaw_submit.corpus.templates import read_template, write_template
from abaw_submit.errors import UserError
from abaw_submit.store import Stage
from abaw_submit.tasks import TASKS, Task, get_task


def official_rows(source: Path | str, task: Task | str | None = None) -> dict[str, int]:
    """Rows by track, in the template's order or in name order.

    Args:
        source: a template, or a folder of annotations (see `read_annotation_set`).
        task: one task's annotations; None takes the union of all tasks that are there. Where tasks
            differ about a track, the most rows count; `row_conflicts` says where.

    Raises:
        UserError: the source is missing, malformed or holds no annotations.
    """
    source = Path(source)
    if source.is_file():
        return dict(read_template(source).tracks)
    return {track: max(counts.values()) for track, counts in _counts(source, task).items()}


def row_conflicts(source: Path | str) -> dict[str, dict[str, int]]:
    """Tracks whose tasks have different row counts: track -> task -> rows. Empty for a template."""
    source = Path(source)
    if source.is_file():
        return {}
    return {t: counts for t, counts in _counts(source, None).items() if len(set(counts.values())) > 1}


def _counts(source: Path, task: Task | str | None) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    tasks = list(TASKS.values()) if task is None else [get_task(task)]
    for each in tasks:
        for path, _ in annotation_files(source, each):
            lines = read_lines(path).without_blank_tail()
            counts.setdefault(path.stem, {})[each.name] = len(lines) - 1
    if not counts:
        raise no_annotations(source, tasks[-1])
    return {track: counts[track] for track in sorted(counts)}


def crop_rows(crops: Path | str) -> dict[str, int]:
    """Rows by track of a crops folder, as its ledgers say, in name order.

    Raises:
        UserError: no folder, no ledger in it, or a malformed one.
    """
    crops = Path(crops)
    if not crops.is_dir():
        raise UserError(f"No crops folder {crops}.")
    ledgers = sorted(crops.glob(f"*/{LEDGER_NAME}"))
    if not ledgers:
        raise UserError(f"No <track>/{LEDGER_NAME} under {crops}. Make the crops with abaw-submit crop.")
    return {path.parent.name: len(read_ledger(path)) for path in ledgers}


def make_template(task: Task, crops: Path, out: Path, dummy: bool = False) -> dict[str, int] | None:
    """The stage `template`: one row for each row of the ledgers, tracks in name order.

    Args:
        task: whose grammar.
        crops: the crops folder.
        out: the template to write.
        dummy: write dummy values in place of the bare comma.

    Returns:
        Rows by track, or None if it was made before.

    Raises:
        UserError: no ledgers, or a malformed one.
    """
    stage = Stage("template", out, settings={"task": task.name, "dummy": dummy}, inputs=[crops])
    if stage.done():
        return None
    with stage:
        rows = crop_rows(crops)
        write_template(out, rows, task, dummy)
        stage.output(out)
        stage.count("rows", sum(rows.values()))
    return rows
