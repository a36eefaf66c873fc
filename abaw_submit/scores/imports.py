"""The stage `import-scores`: scores of any tool and layout into this project's HDF5 file."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from abaw_submit.corpus.rows import official_rows
from abaw_submit.errors import UserError
from abaw_submit.progress import Progress, quiet
from abaw_submit.scores.files import Scores, write_scores
from abaw_submit.scores.sniff.assemble import Expected
from abaw_submit.scores.sniff.table import Options
from abaw_submit.scores.sniff.understand import Understood, understand
from abaw_submit.store import Stage
from abaw_submit.tasks import Task


def expected_rows(source: Path, task: Task) -> Expected:
    """Official row counts of a template, or of a folder of annotations.

    A folder of another task's annotations will do: the rows of a track are its frames.

    Raises:
        UserError: the source is missing or malformed.
    """
    try:
        rows = official_rows(source, task)
    except UserError:
        if source.is_file():
            raise
        rows = official_rows(source)
    return Expected(rows, str(source), ordered=source.is_file())


def import_scores(
    source: Path,
    task: Task,
    out: Path | None,
    options: Options,
    rows_from: Path | None = None,
    show: Callable[[Understood], None] | None = None,
    progress: Progress = quiet,
) -> Understood | None:
    """Read scores of any layout, show what was understood, write them.

    Args:
        source: a file or a folder.
        task: the task.
        out: the `.h5` file to write; None writes nothing.
        options: what the user settled.
        rows_from: a template or a folder of annotations; None: row counts are not checked.
        show: called with what was understood, before anything is written.
        progress: shows how far it is.

    Returns:
        What was understood; None if the file is up to date.

    Raises:
        UserError: something ambiguous or wrong; nothing is written.
    """
    if out is not None and out.suffix != ".h5":
        raise UserError(f"--out {out}: expected a file name that ends in .h5.")
    if out is not None:
        _refuse_inside(source, out)
    expected = expected_rows(rows_from, task) if rows_from is not None else None
    inputs = [source, *([rows_from] if rows_from is not None else [])]
    settings = {**dataclasses.asdict(options), "task": task.name}
    stage = Stage("import-scores", out, settings=settings, inputs=inputs) if out is not None else None
    if stage is not None and stage.done():
        return None
    found = understand(source, task, options, expected, progress)
    if show is not None:
        show(found)
    if stage is None or out is None:
        return found
    with stage:
        write_scores(out, Scores(task, dict(found.tracks), {"source": found.layout}))
        stage.output(out)
        stage.count("tracks", len(found.tracks))
        stage.count("rows", sum(len(values) for values in found.tracks.values()))
    return found


def _refuse_inside(source: Path, out: Path) -> None:
    """What is written must not lie in what is read: it would be read the next time."""
    inner, outer = out.resolve(), source.resolve()
    if inner == outer or (source.is_dir() and outer in inner.parents):
        raise UserError(f"--out {out} lies in {source}, which is read. Give a place outside.")
