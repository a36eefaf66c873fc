"""Tables of scores side by side, each with its interval and its paired difference to the first row.

Source of the tables: arXiv 2303.10849, tables 1 to 3 (folds) and 7 to 9 (parts, features, filters).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from abaw_submit.arrays import F64
from abaw_submit.corpus.annotations import Annotation
from abaw_submit.corpus.tracks import sibling_group
from abaw_submit.errors import UserError
from abaw_submit.metrics import bootstrap_counts, interval, per_output, statistics, total
from abaw_submit.postprocess.smoothing import PRESETS, parse_filter, smooth
from abaw_submit.scores.decide import decide
from abaw_submit.scores.files import Scores
from abaw_submit.store import write_text
from abaw_submit.tasks import Task

RESAMPLES = 2000
HEAD = ("total", "low", "high", "difference", "difference_low", "difference_high")
Tracks = Mapping[str, np.ndarray]


def compare(
    task: Task,
    truth: Mapping[str, Annotation],
    candidates: Mapping[str, Tracks],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> list[dict[str, str]]:
    """One row for each candidate, over the tracks that all of them have.

    Args:
        task: AU, EXPR or VA.
        truth: annotations of at least these tracks.
        candidates: name -> track -> (rows, outputs) scores, out of fold; the first is what the others are
            compared with.
        resamples: bootstrap resamples over recordings.
        seed: of the bootstrap; the same resamples serve every candidate, so differences are paired.

    Returns:
        Rows with `name`, `tracks`, `total` with its 95 % interval, the difference to the first candidate
        with its interval, and the score of each output.

    Raises:
        UserError: no candidate, or no annotated track that all have.
    """
    if not candidates:
        raise UserError("Nothing to compare.")
    shared = set(truth).intersection(*map(set, candidates.values()))
    names = sorted(track for track in shared if truth[track].valid.any())
    if not names:
        raise UserError(f"No annotated track has the scores of all of: {', '.join(candidates)}.")
    counts = bootstrap_counts([sibling_group(track) for track in names], resamples, seed)
    rows: list[dict[str, str]] = []
    first: tuple[float, F64] | None = None
    for name, scores in candidates.items():
        stats = np.stack([_statistics(task, truth[track], scores[track]) for track in names])
        samples = total(task, (counts @ stats.reshape(len(names), -1)).reshape(resamples, *stats.shape[1:]))
        pooled = stats.sum(0)
        score = float(total(task, pooled))
        low, high = interval(samples)
        numbers: list[float | None] = [score, low, high, None, None, None]
        if first is None:
            first = (score, samples)
        else:
            numbers[3:] = [score - first[0], *interval(samples - first[1])]
        row = {"name": name, "tracks": str(len(names))}
        row |= {k: "" if v is None else f"{v:.4f}" for k, v in zip(HEAD, numbers, strict=True)}
        each = per_output(task, pooled).tolist()
        rows.append(row | {k: f"{v:.4f}" for k, v in zip(task.columns, each, strict=True)})
    return rows


def _statistics(task: Task, annotation: Annotation, scores: np.ndarray) -> F64:
    if len(scores) != annotation.rows:
        raise UserError(
            f"{annotation.track}: {len(scores)} rows of scores; its annotation has {annotation.rows}."
        )
    return statistics(task, annotation.values, decide(task, scores), annotation.valid)


def fold_table(
    task: Task, truth: Mapping[str, Annotation], folds: Mapping[str, Scores]
) -> list[dict[str, str]]:
    """The paper's tables 1 to 3: each fold by itself, and all rows of the cross-validation pooled.

    Args:
        task: the task.
        truth: annotations.
        folds: fold's name -> its validation scores; "official" is not pooled with the others.
    """
    rows = []
    for name, scores in folds.items():
        row = compare(task, truth, {f"fold {name}": scores}, resamples=200)[0]
        rows.append(row)
    pooled = pool([scores for name, scores in folds.items() if name != "official"])
    return [*rows, *compare(task, truth, {"all folds": pooled})] if pooled else rows


def pool(parts: Sequence[Scores]) -> dict[str, np.ndarray]:
    """Validation scores of folds as one table.

    Raises:
        UserError: a track is validated in two folds.
    """
    found: dict[str, np.ndarray] = {}
    for part in parts:
        twice = sorted(set(found) & set(part))
        if twice:
            raise UserError(f"{twice[0]} is in the validation scores of two folds.")
        found.update(part)
    return found


def filter_table(task: Task, truth: Mapping[str, Annotation], scores: Tracks) -> list[dict[str, str]]:
    """The paper's table 9: no filter, then median, mean and Gaussian with the paper's windows."""
    candidates: dict[str, Tracks] = {"no filter": scores}
    for kind in ("median", "mean", "gaussian"):
        text = PRESETS[f"paper-{kind}"][task.name]
        chosen = parse_filter(text)
        candidates[text] = {track: smooth(values, chosen) for track, values in scores.items()}
    return compare(task, truth, candidates)


def write_table(path: Path, rows: Sequence[Mapping[str, str]]) -> Path:
    """Rows as CSV, columns of the first."""
    lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
    write_text(path, "\n".join(lines) + "\n")
    return path


def table_lines(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """Names, totals with intervals and differences, for a terminal."""
    width = max(len(row["name"]) for row in rows)
    lines = []
    for row in rows:
        line = f"  {row['name']:{width}}  {float(row['total']):.3f} [{row['low'][:-1]}, {row['high'][:-1]}]"
        if row["difference"]:
            low, high = (float(row[k]) for k in HEAD[4:])
            line += f"  {float(row['difference']):+.3f} [{low:+.3f}, {high:+.3f}]"
        lines.append(line)
    return lines
