"""Small drawings for the page: intervals as inline SVG, pictures as data."""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path

from abaw_submit.report.scoreboard import Board

ROW_PX, LABEL_PX, PLOT_PX, VALUE_PX = 30, 190, 420, 150


def intervals_svg(board: Board) -> str:
    """The lines of a board as points with 95 % intervals on one scale."""
    bounds = [line.score.intervals["total"] for line in board.lines]
    low, high = min(0.0, *(b[0] for b in bounds)), max(b[1] for b in bounds)
    span = (high - low) or 1.0

    def x(value: float) -> float:
        return LABEL_PX + 10 + (value - low) / span * (PLOT_PX - 20)

    height = ROW_PX * len(board.lines) + 26
    width = LABEL_PX + PLOT_PX + VALUE_PX
    best = max(line.score.total for line in board.lines)
    parts = [f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="scores with intervals">']
    for k, line in enumerate(board.lines):
        y = ROW_PX * k + 18
        left, right = line.score.intervals["total"]
        kind = "best" if line.score.total == best else "point"
        parts.append(
            f'<text class="label" x="{LABEL_PX - 6}" y="{y + 5}" text-anchor="end">{escape(line.name)}</text>'
            f'<line class="track" x1="{LABEL_PX + 10}" x2="{LABEL_PX + PLOT_PX - 10}" y1="{y}" y2="{y}"/>'
            f'<line class="{kind}" x1="{x(left):.1f}" x2="{x(right):.1f}" y1="{y}" y2="{y}"/>'
            f'<circle class="{kind}" cx="{x(line.score.total):.1f}" cy="{y}" r="5.5"/>'
            f'<text class="value" x="{LABEL_PX + PLOT_PX + 6}" y="{y + 5}">{line.score.total:.3f}'
            f'<tspan class="faint"> [{left:.3f}, {right:.3f}]</tspan></text>'
        )
    for tick in _ticks(low, high):
        parts.append(
            f'<text class="faint" x="{x(tick):.1f}" y="{height - 4}" text-anchor="middle">{tick:g}</text>'
        )
    return "".join([*parts, "</svg>"])


def _ticks(low: float, high: float) -> list[float]:
    step = next(s for s in (0.05, 0.1, 0.2, 0.5, 1.0, 2.0) if (high - low) / s <= 8)
    first = int(low / step) - 1
    return [round(k * step, 2) for k in range(first, first + 12) if low <= k * step <= high]


def picture(path: Path, caption: str) -> str:
    """A PNG file inside the page, so that the page is one file."""
    data = base64.b64encode(path.read_bytes()).decode()
    return (
        f'<figure><img loading="lazy" alt="{escape(caption)}" src="data:image/png;base64,{data}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table; every column but the first is numbers."""
    top = "".join(f"<th>{escape(h)}</th>" for h in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'
