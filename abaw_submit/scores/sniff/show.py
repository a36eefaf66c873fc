"""What was understood, for people, before anything is written."""

from __future__ import annotations

import numpy as np

from abaw_submit.scores.sniff.understand import Understood

_ROWS = 3


def understood_lines(found: Understood) -> list[str]:
    """Tracks, rows, columns, range, first rows, numbering, row counts and everything worth a second look."""
    task, tracks = found.task, found.tracks
    counts = [len(values) for values in tracks.values()]
    first = next(iter(tracks))
    numbering = (
        "no frame numbers: row k is frame k"
        if found.first_frame is None
        else f"frame numbers counted from {found.first_frame}"
    )
    lines = [
        f"layout      {found.layout}",
        f"tracks      {len(tracks):,} ({', '.join(list(tracks)[:3])}{', …' if len(tracks) > 3 else ''})",
        f"rows        {sum(counts):,} ({min(counts):,} to {max(counts):,} a track); {numbering}",
        f"row counts  {found.checked}",
        f"columns     {','.join(task.columns)}\n            read from {found.used}",
        f"range       {_range(found)}",
        f"first rows  of {first}:",
    ]
    for row, values in enumerate(tracks[first][:_ROWS]):
        lines.append(f"            {row + 1}: {' '.join(f'{v:.4g}' for v in values)}")
    lines += [f"note        {note}" for note in found.notes]
    return [line.encode("utf-8", "backslashreplace").decode() for line in lines]


def _range(found: Understood) -> str:
    low = np.min([np.nanmin(v, axis=0) for v in found.tracks.values()], axis=0)
    high = np.max([np.nanmax(v, axis=0) for v in found.tracks.values()], axis=0)
    return ", ".join(f"{c} {a:.3g}..{b:.3g}" for c, a, b in zip(found.task.columns, low, high, strict=True))
