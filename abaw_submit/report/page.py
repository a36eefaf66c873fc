"""The HTML page of a run: one file, opened anywhere, nothing fetched from outside."""

from __future__ import annotations

import functools
import json
import math
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

from abaw_submit import __version__
from abaw_submit.charts import THEME
from abaw_submit.extras import require
from abaw_submit.report.alike_part import alike_section
from abaw_submit.report.blocks import Player, Section
from abaw_submit.report.confusion_part import confusion_section
from abaw_submit.report.drift_part import drift_section
from abaw_submit.report.find import Run, TaskRun, selection
from abaw_submit.report.ledgers import TrackLedger, decoding_table, ledger_section, read_ledgers
from abaw_submit.report.methods_part import methods_section, reproduce_section
from abaw_submit.report.recipe_part import recipe_section
from abaw_submit.report.results import Results, read_results
from abaw_submit.report.run_part import crops_section, stages_section, submission_section, training_section
from abaw_submit.report.scoreboard import Board
from abaw_submit.report.scores_part import (
    ablation_section,
    folds_section,
    no_truth_section,
    official_section,
    outputs_section,
    scores_section,
)
from abaw_submit.report.tables_part import ablation_tables, balance_table_of
from abaw_submit.report.timeline import player_data
from abaw_submit.report.tracks_part import tracks_section, worst_first
from abaw_submit.store import machine
from abaw_submit.tasks import Task


def page(
    run: Run,
    boards: dict[str, Board],
    annotations: Path | None = None,
    *,
    config: Path | None = None,
    faces: bool = False,
) -> str:
    """The page of a run.

    Args:
        run: the run's files.
        boards: task name -> its scores, for the tasks that have truth.
        annotations: root of the annotations; without it nothing is compared with truth.
        config: the run's configuration, to be shown.
        faces: put faces under the cursor of the players. Only for eyes that may see the data.

    Raises:
        UserError: the extra `report` is not installed.
    """
    require("`report`", ["report"])
    if faces:
        require("`report --faces`", ["faces"])
    ledgers = read_ledgers(run.work / "crops")
    results = {
        task.task.name: read_results(task, annotations)
        for task in run.tasks
        if annotations is not None and task.task.name in boards
    }
    players = {
        name: player_data(found, run.layout.crops, worst_first(found))
        for name, found in results.items()
        if found is not None
    }
    strips, note = {}, ""
    if faces:
        from abaw_submit.report.sprites import face_strips

        shown = [track["name"] for data in players.values() for track in data["tracks"]]
        found_faces = face_strips(shown, run.layout.crops)
        strips, note = dict(found_faces.strips), found_faces.note
    sections = [
        _task_section(
            run,
            task,
            boards.get(task.task.name),
            results.get(task.task.name),
            ledgers,
            _player_section(players[task.task.name], task.task, note) if task.task.name in players else None,
        )
        for task in run.tasks
    ]
    faces_part = ledger_section(ledgers, decoding_table(run.work / "crops")) if ledgers else None
    parts = [p for p in (faces_part, crops_section(run)) if p]
    sections.append(Section("The run", [], [*parts, stages_section(run)]))
    sections.append(
        Section("For a paper", [], [methods_section(run, boards), reproduce_section(run, config)])
    )
    host = machine()
    return _render(
        name=run.name,
        version=__version__,
        host=f"{str(host['system']).partition('-')[0]}, {host['cpus']} processors",
        cards=_cards(run, boards),
        sections=sections,
        faces=faces,
        strips=strips,
    )


def _task_section(
    run: Run,
    task: TaskRun,
    board: Board | None,
    results: Results | None,
    ledgers: dict[str, TrackLedger],
    player: Section | None,
) -> Section:
    choice = selection(task)
    parts: list[Section | None] = []
    if board is not None and results is not None:
        parts += [
            scores_section(board, results),
            official_section(task, results),
            outputs_section(board),
            alike_section(task, results),
            folds_section(results),
            ablation_section(board, choice),
            ablation_tables(run.work, task.task),
            balance_table_of(run, task.task),
            confusion_section(results),
            player,
            tracks_section(results, ledgers),
            drift_section(task, results),
        ]
    else:
        parts.append(no_truth_section(task))
    parts.append(recipe_section(task.task, choice) if choice else None)
    parts += [training_section(task), submission_section(task)]
    return Section(task.task.name, [], [p for p in parts if p is not None])


def _player_section(data: dict[str, Any], task: Task, note: str) -> Section:
    shown = len(data["tracks"])
    all_of_them = (
        "All tracks"
        if shown == data["of"]
        else f"{shown} of {data['of']} tracks, the worst and the best among them"
    )
    caption = (
        f"{all_of_them}, worst first. Move over the chart to read values; drag to move in time, hold Shift"
        " and turn the wheel to zoom, double-click for the whole track. Shaded: rows without a label. Grey"
        f" line at the foot: rows that show no face. {note}"
    )
    return Section("See the errors", [Player(task.key, data, caption.strip())], prefix=task.name)


def _cards(run: Run, boards: dict[str, Board]) -> list[dict[str, str]]:
    cards = []
    for task in run.tasks:
        board = boards.get(task.task.name)
        if board:
            last = board.lines[-1]
            low, high = last.score.intervals["total"]
            value, note = f"{last.score.total:.3f}", f"{last.name}, out of fold, {low:.3f} to {high:.3f}"
        elif task.zip:
            value, note = "zip", "no truth to score"
        else:
            continue
        cards.append({"task": task.task.name, "metric": task.task.metric, "value": value, "note": note})
    return cards


def _render(**values: Any) -> str:
    import jinja2

    here = files("abaw_submit.report")
    loader = jinja2.FunctionLoader(lambda name: here.joinpath(name).read_text(encoding="utf-8"))
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["json"] = _json
    environment.filters["prose"] = _prose
    return environment.get_template("page.html.j2").render(theme=THEME, vega=vega_bundle(), **values)


@functools.cache
def vega_bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, as vl-convert ships them (BSD 3-clause licence)."""
    import vl_convert

    script: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return re.sub(r"</(script)", r"<\\/\1", script, flags=re.IGNORECASE)  # within its strings


def _prose(text: str) -> Any:
    """Text for HTML in which `words between backticks` are code."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def _json(value: Any) -> Any:
    """JSON that may stand in a script element: no `<` ends it."""
    from markupsafe import Markup

    text = json.dumps(_finite(value), separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))


def _finite(value: Any) -> Any:
    """The same with None for numbers that JSON cannot say."""
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
