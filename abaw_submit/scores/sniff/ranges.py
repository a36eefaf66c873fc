"""What the numbers may be: probabilities, labels, logits, percentages; told apart or refused."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from abaw_submit.arrays import F64
from abaw_submit.decisions import Decision
from abaw_submit.errors import UserError
from abaw_submit.scores.sniff.table import Options
from abaw_submit.tasks import Task

_ROUNDING = 1e-4  # a probability of 1.00001 is one


def one_hot(values: F64, task: Task, where: str) -> F64:
    """(rows, 1) class numbers as (rows, classes) of 0 and 1; NaN stays NaN.

    Raises:
        UserError: a number that is not a class.
    """
    column = values[:, 0]
    there = ~np.isnan(column)
    fine = ~there | ((column == np.rint(column)) & (column >= 0) & (column < task.outputs))
    if not fine.all():
        row = int(np.argmin(fine))
        more = " -1 marks a row without annotation: these are annotations." if column[row] == -1 else ""
        raise UserError(
            f"{where}, row {row + 1}: class {column[row]:g}; expected 0 to {task.outputs - 1}"
            f" ({', '.join(task.columns)}).{more}"
        )
    out = np.full((len(column), task.outputs), np.nan)
    out[there] = 0.0
    out[np.flatnonzero(there), column[there].astype(np.int64)] = 1.0
    return out


def to_scores(
    tracks: Mapping[str, F64], task: Task, options: Options, where: str, hint_logits: bool = False
) -> tuple[dict[str, F64], list[str]]:
    """Scores in the project's meaning: probabilities, or values in [-1, 1].

    Args:
        tracks: (rows, outputs) by track; NaN where nothing was given.
        task: the task.
        options: `logits`, `percent`, `intensity` and `clip` are looked at.
        where: for messages.
        hint_logits: the file calls them logits.

    Raises:
        UserError: numbers outside the range, with the option that would bring them in.
    """
    for track, values in tracks.items():
        if np.isinf(values).any():
            row = int(np.argmax(np.isinf(values).any(axis=1)))
            raise UserError(f"{where}, track {track}, row {row + 1}: an infinite score. Predict it again.")
    low = min(float(np.nanmin(v)) for v in tracks.values() if not np.isnan(v).all())
    high = max(float(np.nanmax(v)) for v in tracks.values() if not np.isnan(v).all())
    if task.decision is Decision.CLIP:
        return _va(tracks, options, where, low, high)
    said = [word for word in ("logits", "percent", "intensity") if getattr(options, word)]
    if len(said) > 1:
        raise UserError(f"--{said[0]} and --{said[1]} exclude each other.")
    if options.intensity and task.decision is not Decision.THRESHOLD:
        raise UserError("--intensity is for AU; expressions have probabilities or logits.")
    inside = low >= -_ROUNDING and high <= 1 + _ROUNDING
    if said and inside:
        raise UserError(
            f"{where}: the scores lie between {low:.3g} and {high:.3g}: probabilities already."
            f" Leave --{said[0]} out, or the decisions would change."
        )
    if options.logits:
        turn = _TO_PROBABILITIES[task.activation]
        return {t: turn(v) for t, v in tracks.items()}, [
            f"logits from {low:.3g} to {high:.3g} were made probabilities ({task.activation})"
        ]
    if options.percent or options.intensity:
        top, name = (100.0, "percentages") if options.percent else (5.0, "intensities")
        if low < -_ROUNDING * top or high > top * (1 + _ROUNDING):
            raise UserError(f"{where}: scores from {low:.3g} to {high:.3g} are not {name}.")
        return {t: np.clip(v / top, 0, 1) for t, v in tracks.items()}, [f"{name} were divided by {top:g}"]
    if not inside:
        raise _outside(tracks, task, where, low, high)
    notes = _labels(tracks, task)
    if hint_logits:
        notes.append("they are called logits, yet lie in [0, 1]: taken as probabilities")
    return {t: np.clip(v, 0, 1) for t, v in tracks.items()}, notes


def _va(
    tracks: Mapping[str, F64], options: Options, where: str, low: float, high: float
) -> tuple[dict[str, F64], list[str]]:
    if options.logits or options.percent or options.intensity:
        raise UserError(
            "--logits, --percent and --intensity are for AU and EXPR; valence and arousal are values in"
            " [-1, 1]."
        )
    for track, values in tracks.items():
        marked = (values == -5).any(axis=1)
        if marked.any():
            raise UserError(
                f"{where}, track {track}, row {int(np.argmax(marked)) + 1}: -5, which marks rows without"
                " annotation. These are annotations, not scores; or leave such rows out and add --missing."
            )
    if low >= -1 - _ROUNDING and high <= 1 + _ROUNDING:
        return {t: np.clip(v, -1, 1) for t, v in tracks.items()}, []
    if options.lenient and low > -5 and high < 5:
        return dict(tracks), []
    if options.clip and low > -5 and high < 5:
        count = sum(int((np.abs(v) > 1).sum()) for v in tracks.values())
        return {t: np.clip(v, -1, 1) for t, v in tracks.items()}, [
            f"{count:,} values outside [-1, 1] were clipped"
        ]
    track, row = _first(tracks, lambda v: np.abs(v) > 1 + _ROUNDING)
    fix = (
        "If a model without tanh made them, add --clip."
        if low > -5 and high < 5
        else "Bring them to [-1, 1] first."
    )
    raise UserError(
        f"{where}, track {track}, row {row}: scores from {low:.4g} to {high:.4g}; valence and arousal lie in"
        f" [-1, 1].\n{fix}"
    )


def _outside(tracks: Mapping[str, F64], task: Task, where: str, low: float, high: float) -> UserError:
    track, row = _first(tracks, lambda v: (v < -_ROUNDING) | (v > 1 + _ROUNDING))
    start = f"{where}, track {track}, row {row}: scores from {low:.4g} to {high:.4g}; expected [0, 1]."
    if all(((v == np.rint(v)) | np.isnan(v)).all() for v in tracks.values()) and low == -1 and high <= 1:
        return UserError(f"{start}\n-1 marks rows without annotation: these are annotations, not scores.")
    if low >= 0 and high <= 100 and high > 20:
        return UserError(f"{start}\nIf they are percentages, add --percent; if logits, --logits.")
    if high <= _ROUNDING:
        if task.decision is Decision.ARGMAX:
            return UserError(
                f"{start}\nAll are below 0: if they are log probabilities or logits, add --logits."
            )
        return UserError(
            f"{start}\nAll are below 0: log probabilities need exp() first; for logits add --logits."
        )
    if low >= 0 and high <= 5.01 and task.decision is Decision.THRESHOLD:
        return UserError(
            f"{start}\nIf they are intensities from 0 to 5, add --intensity; if logits, --logits."
        )
    return UserError(
        f"{start}\nIf they are logits, add --logits: {task.activation} makes them probabilities."
    )


def _labels(tracks: Mapping[str, F64], task: Task) -> list[str]:
    notes = []
    if all(((v == 0) | (v == 1) | np.isnan(v)).all() for v in tracks.values()):
        notes.append(
            "only 0 and 1: these are LABELS (decisions), not probabilities. They do for metrics, format and"
            " check; thresholds, calibration and ensembles have little to work with"
        )
    elif task.decision is Decision.ARGMAX:
        sums = np.concatenate([v.sum(axis=1) for v in tracks.values()])
        off = int((np.abs(sums - 1) > 0.02).sum())
        if off:
            notes.append(
                f"the eight numbers do not add up to 1 in {off:,} of {len(sums):,} rows; taken as they are"
            )
    return notes


def _first(tracks: Mapping[str, F64], test: object) -> tuple[str, int]:
    for track, values in tracks.items():
        hit = test(values).any(axis=1)  # type: ignore[operator]
        if hit.any():
            return track, int(np.argmax(hit)) + 1
    return "?", 0


def _sigmoid(values: F64) -> F64:
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -60, 60))))


def _softmax(values: F64) -> F64:
    moved = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray(moved / moved.sum(axis=1, keepdims=True))


_TO_PROBABILITIES = {"sigmoid": _sigmoid, "softmax": _softmax}  # by the task's activation
