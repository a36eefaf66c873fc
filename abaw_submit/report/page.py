"""The HTML page of a run: one file, opened anywhere, nothing fetched from outside."""

from __future__ import annotations

from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from abaw_submit import __version__
from abaw_submit.report.figures import intervals_svg, picture, table
from abaw_submit.report.find import Run, TaskRun
from abaw_submit.report.scoreboard import Board
from abaw_submit.store import machine, read_record, sha256_file

STYLE = files(__package__).joinpath("style.css").read_text(encoding="utf-8")


def page(run: Run, boards: dict[str, Board]) -> str:
    """The page of a run.

    Args:
        run: the run's files.
        boards: task name -> its scores, for the tasks that have truth.
    """
    host = machine()
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        f"<title>{escape(run.name)}: abaw_submit</title>",
        "<meta name='viewport' content='width=device-width'>",
        f"<style>{STYLE}</style></head><body><main><h1>{escape(run.name)}</h1>",
        f"<p class='lead'>abaw_submit {__version__}; {escape(host['system'])},"
        f" {host['cpus']} processors.</p>",
        _cards(run, boards),
    ]
    parts += [_task(task, boards.get(task.task.name)) for task in run.tasks]
    parts += [_corpus(run), "</main></body></html>"]
    return "\n".join(parts) + "\n"


def _cards(run: Run, boards: dict[str, Board]) -> str:
    cards = []
    for task in run.tasks:
        found = boards.get(task.task.name)
        if found:
            last = found.lines[-1]
            cards.append(
                f"<div class='card'>{task.task.name} <span class='faint'>{task.task.metric}</span>"
                f"<b>{last.score.total:.3f}</b>"
                f"<span class='faint'>{escape(last.name)}, out of fold</span></div>"
            )
        elif task.zip:
            cards.append(
                f"<div class='card'>{task.task.name}<b>zip</b>"
                "<span class='faint'>no truth to score</span></div>"
            )
    return f"<div class='cards'>{''.join(cards)}</div>"


def _task(run: TaskRun, board: Board | None) -> str:
    parts = [f"<section><h2>{run.task.name}</h2>"]
    if board:
        parts += [
            _explanation(board),
            intervals_svg(board),
            table(
                ["gain", "difference", "95 % interval", "against"],
                [
                    [n.name, f"{n.gain:+.3f}", "[{:+.3f}, {:+.3f}]".format(*n.gain_interval), n.against]
                    for n in board.lines
                    if n.against
                ]
                + _smoothing_row(board),
            ),
            "<h3>Per output</h3>",
            table(
                ["", *run.task.columns],
                [[n.name, *(f"{v:.3f}" for v in n.score.per_output.values())] for n in board.lines],
            ),
        ]
    parts += _recipe_pictures(run)
    curves = [(k / "curves.png", f"training of {k.name}") for k in run.folds]
    shown = [picture(path, caption) for path, caption in curves if path.is_file()]
    if shown:
        parts.append(f"<h3>Training</h3><div class='pictures'>{''.join(shown)}</div>")
    if run.zip:
        parts.append(_submission(run.zip))
    return "".join([*parts, "</section>"])


def _smoothing_row(board: Board) -> list[list[str]]:
    gain = board.smoothing
    if gain is None:
        return []
    return [[gain.name, f"{gain.gain:+.3f}", "[{:+.3f}, {:+.3f}]".format(*gain.gain_interval), "TMF"]]


def _explanation(board: Board) -> str:
    rows = f"{board.task.metric} pooled over {board.rows:,} valid rows of {board.tracks} tracks."
    fair = "Every row was scored by a model, and a recipe, that had no part of its recording."
    return f"<p class='lead'>{rows} {fair} 95 % intervals over recordings.</p>"


def _recipe_pictures(run: TaskRun) -> list[str]:
    if run.recipe is None:
        return []
    shown = [picture(p, p.stem.replace("_", " ")) for p in sorted(run.recipe.rglob("*.png"))]
    if not shown:
        return []
    return [f"<h3>How the recipe was chosen</h3><div class='pictures'>{''.join(shown)}</div>"]


def _submission(path: Path) -> str:
    return (
        f"<h3>Submission</h3><p><code>{escape(path.name)}</code>, {path.stat().st_size:,} bytes, sha256 "
        f"<code>{sha256_file(path)}</code></p>"
    )


def _corpus(run: Run) -> str:
    record = run.crops
    if record is None:
        return ""
    rows = [[name, _number(value)] for name, value in record["counts"].items()]
    failed = [[f["item"], f["why"]] for f in record["failures"]]
    parts = ["<section><h2>Corpus</h2>", table(["crops", ""], rows)]
    if failed:
        parts += ["<h3>Failed</h3>", table(["item", "why"], failed)]
    stages = [
        _stage(p.parent, run)
        for p in sorted(run.work.rglob("record.json"))
        if p.parent.parent.name != "crops"
    ]
    parts += ["<h3>Stages</h3>", table(["stage", "made", "seconds", "peak MiB"], [s for s in stages if s])]
    return "".join([*parts, "</section>"])


def _stage(folder: Path, run: Run) -> list[str]:
    record = read_record(folder)
    if record is None:
        return []
    made = folder.relative_to(run.work.parent).as_posix()
    return [record["stage"], made, f"{record['seconds']:.1f}", f"{record['peak_memory_mib']:.0f}"]


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"
