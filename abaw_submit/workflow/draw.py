"""A picture of a run's graph as SVG: Snakemake says which job needs which, this puts them into columns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape

from abaw_submit.workflow.graph import Graph
from abaw_submit.workflow.launch import dot
from abaw_submit.workflow.units import BY_FOLD, BY_TASK, GPU_STAGES, Unit

MARK = "<!-- made by abaw-submit run -->"  # a file with it may be made again
_NODE = re.compile(r'(\d+)\[label = "([^"]*)"')
_EDGE = re.compile(r"(\d+) -> (\d+)")
_WIDTH_PX, _HEIGHT_PX, _GAP_X_PX, _GAP_Y_PX, _EDGE_PX = 132, 26, 46, 12, 16
_STYLE = (
    "text{font:12px sans-serif;fill:#1b1f24}rect{fill:#eef2f7;stroke:#57606a;rx:5}"
    "rect.gpu{fill:#ddeeda}path{fill:none;stroke:#8c959f}"
)


def draw(graph: Graph, graph_path: str, units: Sequence[Unit]) -> str:
    """The graph of a target, from left to right; jobs that want a GPU are green.

    Args:
        graph: the run.
        graph_path: where it is written.
        units: the jobs of the target.
    """
    names, edges = _read(dot(graph, graph_path, units))
    column = _columns(names, edges)
    rows: dict[int, list[str]] = {}
    for node in names:
        rows.setdefault(column[node], []).append(node)
    tallest = max(len(nodes) for nodes in rows.values())
    place: dict[str, tuple[float, float]] = {}
    for at in sorted(rows):
        before = {n: [place[a][1] for a, b in edges if b == n and a in place] for n in rows[at]}
        order = sorted(rows[at], key=lambda n: (sum(before[n]) / max(1, len(before[n])), names[n]))
        top = _EDGE_PX + (tallest - len(order)) * (_HEIGHT_PX + _GAP_Y_PX) / 2
        for k, node in enumerate(order):
            place[node] = (_EDGE_PX + at * (_WIDTH_PX + _GAP_X_PX), top + k * (_HEIGHT_PX + _GAP_Y_PX))
    width = 2 * _EDGE_PX + len(rows) * (_WIDTH_PX + _GAP_X_PX) - _GAP_X_PX
    height = 2 * _EDGE_PX + tallest * (_HEIGHT_PX + _GAP_Y_PX) - _GAP_Y_PX
    lines = [_edge(place[a], place[b]) for a, b in edges]
    boxes = [_box(names[n], *place[n]) for n in names]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}">'
    return "\n".join([head, MARK, f"<style>{_STYLE}</style>", *lines, *boxes, "</svg>"]) + "\n"


def _read(text: str) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """The jobs by number with their names, and which comes before which."""
    said: dict[str, tuple[str, dict[str, str]]] = {}
    for line in text.splitlines():
        if found := _NODE.search(line):
            stage, *wildcards = found[2].split("\\n")
            said[found[1]] = (stage, dict(w.split(": ", 1) for w in wildcards))
    edges = [(a, b) for a, b in _EDGE.findall(text) if a in said and b in said]
    column = _columns(said, edges)
    known: dict[str, dict[str, str]] = {}
    for node in sorted(said, key=lambda n: column[n]):
        # Snakemake leaves out what a job has from one before it
        known[node] = {}
        for before in (a for a, b in edges if b == node):
            known[node] = {**known[before], **known[node]}
        known[node].update(said[node][1])
    return {node: _label(stage, known[node]) for node, (stage, _) in said.items()}, edges


def _label(stage: str, wildcards: dict[str, str]) -> str:
    task = wildcards.get("task", "") if stage in (*BY_TASK, *BY_FOLD) else ""
    part = wildcards.get("fold", "") if stage in BY_FOLD else ""
    return Unit(stage, task, wildcards.get("sound", "") if stage == "sound" else part).label


def _columns(names: Iterable[str], edges: list[tuple[str, str]]) -> dict[str, int]:
    """How many jobs come before each at most."""
    column = dict.fromkeys(names, 0)
    for _ in column:
        for a, b in edges:
            column[b] = max(column[b], column[a] + 1)
    return column


def _edge(start: tuple[float, float], end: tuple[float, float]) -> str:
    x, y = start[0] + _WIDTH_PX, start[1] + _HEIGHT_PX / 2
    to_x, to_y = end[0], end[1] + _HEIGHT_PX / 2
    bend = _GAP_X_PX * 0.6
    return f'<path d="M{x:g},{y:g} C{x + bend:g},{y:g} {to_x - bend:g},{to_y:g} {to_x:g},{to_y:g}"/>'


def _box(name: str, x: float, y: float) -> str:
    kind = ' class="gpu"' if name.split()[0] in GPU_STAGES else ""
    text = f'<text x="{x + _WIDTH_PX / 2:g}" y="{y + 17:g}" text-anchor="middle">{escape(name)}</text>'
    return f'<rect{kind} x="{x:g}" y="{y:g}" width="{_WIDTH_PX}" height="{_HEIGHT_PX}"/>{text}'
