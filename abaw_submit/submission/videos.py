"""The ambivalence track: one line a video, `id,label` or `id,p0,p1,label`, no header, template order.

The organisers' script wants `p0 + p1 == 1` exactly, in floating point, of the numbers as they are written. So
p1 is rounded and p0 is what lacks: with six decimals the sum is 1 for every one of the million and one values
(a test adds them all up), where two numbers rounded apart miss it now and then.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from abaw_submit.corpus.lines import Lines
from abaw_submit.corpus.videolist import read_video_list
from abaw_submit.errors import UserError
from abaw_submit.scores.files import Scores
from abaw_submit.store import write_text
from abaw_submit.submission.findings import Place, Report

DECIMALS = 6
_ONE = 10**DECIMALS
_NUMBER = re.compile(r"(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def video_line(name: str, probability: float, with_probabilities: bool) -> str:
    """One line of the submission; the label is 1 from 0.5 on, of the probability as it is rounded.

    >>> video_line("82711_Q4", 0.7, False), video_line("82711_Q4", 1 / 3, True)
    ('82711_Q4,1', '82711_Q4,0.666667,0.333333,0')
    """
    millionths = round(probability * _ONE)
    label = int(2 * millionths >= _ONE)
    if not with_probabilities:
        return f"{name},{label}"
    p0, p1 = _text(_ONE - millionths), _text(millionths)
    assert float(p0) + float(p1) == 1  # what the organisers ask
    return f"{name},{p0},{p1},{label}"


def _text(millionths: int) -> str:
    return f"{millionths // _ONE}.{millionths % _ONE:0{DECIMALS}d}"


def write_videos(scores: Scores, ids: Sequence[str], out: Path, with_probabilities: bool) -> list[str]:
    """Write the submission, whole or not at all.

    Args:
        scores: probability of ambivalence, one row a video.
        ids: the template's videos in its order.
        out: the file.
        with_probabilities: write `id,p0,p1,label` in place of `id,label`.

    Returns:
        Videos that have a score and are not asked for.

    Raises:
        UserError: a video has no score, more than one row, or a score that is not a probability.
    """
    lines = []
    for name in ids:
        if name not in scores:
            raise UserError(f"Video {name} has no AH score. Predict it first.")
        values = scores[name]
        if values.shape != (1, 1):
            raise UserError(f"Video {name}: {len(values)} rows of AH scores; expected 1 for the whole video.")
        if not 0 <= float(values[0, 0]) <= 1:
            raise UserError(
                f"Video {name}: the AH score is {values[0, 0]}; expected 0 to 1. Nothing was written."
            )
        lines.append(video_line(name, float(values[0, 0]), with_probabilities))
    write_text(out, "\n".join(lines) + "\n")
    return sorted(set(scores) - set(ids))


def template_ids(path: Path | str) -> list[str]:
    """The videos that a template asks for, in its order."""
    return read_video_list(path).ids


def check_videos(name: str, lines: Lines, ids: Sequence[str] | None, report: Report) -> None:
    """Check one file's lines; everything wrong goes into the report.

    Args:
        name: the file.
        lines: its lines, without a blank tail.
        ids: the template's videos in its order; None checks what needs no template.
        report: gets the findings.
    """
    seen: dict[str, int] = {}
    widths: dict[int, int] = {}
    labels: list[int] = []
    known = None if ids is None else {video: at for at, video in enumerate(ids)}
    latest = -1
    for index in range(len(lines)):
        text = lines.text(index)
        video, *values = text.split(",")
        place = Place(name, index + 1, video[:80])
        if not text.strip():
            report.add("blank line", Place(name, index + 1))
            continue
        if index == 0 and values and not _NUMBER.fullmatch(values[-1].strip() or "0"):
            report.add("video header", Place(name, 1, found=f'"{text[:60]}"'))
            continue
        report.rows += 1
        label = _check_values(video, values, place, report)
        if label is not None:
            labels.append(label)
            widths.setdefault(len(values), index + 1)
        if video in seen:
            report.add("double row", Place(name, index + 1, video[:80], found=f"first in line {seen[video]}"))
            continue
        seen[video] = index + 1
        if known is None:
            continue
        if video not in known:
            report.add("unknown track", place)
            continue
        if known[video] < latest:
            report.add("order", place)
        latest = max(latest, known[video])
    if len(widths) > 1:
        line = max(widths.values())
        report.add("column count", Place(name, line, found="id,label and id,p0,p1,label in one file"))
    for video in ids or ():
        if video not in seen:
            report.add("missing row", Place(name, None, video[:80]))
    if known is None:
        report.add("rows not checked", Place(name))
    if len(labels) == len(seen) > 1 and len(set(labels)) == 1:
        report.add("constant column", Place(name, found=f"every label is {labels[0]}"))


def _check_values(video: str, values: list[str], place: Place, report: Report) -> int | None:
    """The label of a line, or None if something is wrong with its values."""

    def bad(kind: str, found: str) -> None:
        report.add(kind, Place(place.file, place.line, place.track, found=found))

    if len(values) not in (1, 3):
        bad("column count", f"{1 + len(values)} values; expected id,label or id,p0,p1,label")
        return None
    if video != video.strip() or not video or '"' in video:
        bad("number syntax", f'id "{video[:40]}"')
        return None
    if not values[-1]:
        bad("empty value", "no label")
        return None
    if values[-1] not in ("0", "1"):
        bad("not an integer", f'label "{values[-1][:20]}", expected 0 or 1')
        return None
    label = int(values[-1])
    if len(values) == 1:
        return label
    odd = [text for text in values[:2] if not _NUMBER.fullmatch(text)]
    if odd:
        bad("number syntax" if odd[0].strip() else "empty value", f'probability "{odd[0][:20]}"')
        return None
    p0, p1 = map(float, values[:2])
    if max(p0, p1) > 1:
        bad("range", f"p0 {values[0]}, p1 {values[1]}; expected 0..1")
        return None
    if p0 + p1 != 1:
        bad("probabilities", f"{values[0]} + {values[1]} = {p0 + p1!r}")
        return None
    if label != int(p1 >= p0):
        bad("label against probability", f"p1 {values[1]}, label {label}")
    return label
