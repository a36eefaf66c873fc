"""What a person decided about a corpus: one line per case, where the rules choose the wrong face.

# track               rows      what
10-60-1280x720_right  1-200     none          nobody: the person is not to be seen in these rows
video49_left          300       at 412 180    the face at this point (px) of row 300 is this person
video49_left          300-360   at 412 180    ... and only in these rows
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from abaw_submit.errors import UserError
from abaw_submit.faces.detect import BOX
from abaw_submit.faces.follow import Tracklet
from abaw_submit.textfile import read_utf8


@dataclass(frozen=True)
class Override:
    """One line: a track, rows `first`..`last`, and a point in px, or None for nobody.

    `whole` means that the face's whole tracklet is the person, not only these rows.
    """

    track: str
    first: int
    last: int
    point: tuple[float, float] | None
    whole: bool


def read_overrides(path: Path | str) -> list[Override]:
    """Read an override file; `#` starts a comment.

    Raises:
        UserError: a line that does not follow the grammar (named).
    """
    overrides = []
    for number, line in enumerate(read_utf8(path).splitlines(), start=1):
        words = line.split("#")[0].split()
        if words:
            overrides.append(_parse(words, f"{path}, line {number}"))
    return overrides


def _parse(words: Sequence[str], where: str) -> Override:
    wrong = UserError(
        f'{where}: "{" ".join(words)[:80]}"; expected "TRACK ROW[-ROW] none" or "TRACK ROW[-ROW] at X Y".'
    )
    if len(words) not in (3, 5) or words[2] != {3: "none", 5: "at"}[len(words)]:
        raise wrong
    first, dash, last = words[1].partition("-")
    try:
        rows = int(first), int(last) if dash else int(first)
        point = (float(words[3]), float(words[4])) if len(words) == 5 else None
    except ValueError:
        raise wrong from None
    if not 1 <= rows[0] <= rows[1]:
        raise UserError(f"{where}: rows {words[1]}; expected 1 or more, the smaller one first.")
    return Override(words[0], *rows, point, point is not None and not dash)


def apply_overrides(
    overrides: Sequence[Override],
    assignment: Mapping[str, Sequence[Tracklet]],
    tracklets: Sequence[Tracklet],
    decoded: int,
) -> tuple[dict[str, list[Tracklet]], dict[str, npt.NDArray[np.bool_]]]:
    """Each track's tracklets after a person's decisions, and the rows in which nobody is to be seen.

    Raises:
        UserError: an override names a row or a point where no face was followed.
    """
    changed = {track: list(of) for track, of in assignment.items()}
    hidden: dict[str, npt.NDArray[np.bool_]] = {}
    for override in overrides:
        if override.track not in changed:
            continue
        if override.point is None:
            mask = hidden.setdefault(override.track, np.zeros(decoded, bool))
            mask[override.first - 1 : override.last] = True
            continue
        chosen = _at(tracklets, override)
        if not override.whole:
            chosen = part(chosen, override.first, override.last)
        changed[override.track] = [chosen, *(t for t in changed[override.track] if t.number != chosen.number)]
        if override.whole:  # one face is one person
            for track, of in changed.items():
                if track != override.track:
                    changed[track] = [t for t in of if t.number != chosen.number]
    return changed, hidden


def part(tracklet: Tracklet, first: int, last: int) -> Tracklet:
    """The rows `first`..`last` of a tracklet."""
    low = max(0, first - tracklet.first)
    rows = slice(low, max(low, last - tracklet.first + 1))
    return Tracklet(
        number=-1 - tracklet.number,
        first=tracklet.first + low,
        faces=tracklet.faces[rows],
        looked=tracklet.looked[rows],
        missed=tracklet.missed[rows],
        smooth=tracklet.smooth[rows],
        spool=tracklet.spool[rows],
    )


def _at(tracklets: Sequence[Tracklet], override: Override) -> Tracklet:
    px, py = override.point or (0.0, 0.0)
    for tracklet in tracklets:
        if tracklet.has(override.first):
            x, y, w, h = tracklet.faces[override.first - tracklet.first][BOX]
            if x <= px <= x + w and y <= py <= y + h:
                return tracklet
    raise UserError(
        f"Override of {override.track}: no face at {px:g} {py:g} in row {override.first}."
        " Look at its contact sheet (crop --sheet)."
    )
