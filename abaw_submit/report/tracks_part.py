"""The part of the page about single tracks: which are good, which are bad, and how much of the face was"
" seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from abaw_submit import charts, metrics
from abaw_submit.arrays import F64
from abaw_submit.decisions import Decision
from abaw_submit.report.blocks import Chart, Section, Table
from abaw_submit.report.ledgers import TrackLedger
from abaw_submit.report.results import Results

OPEN_ROWS = 12


def track_scores(results: Results) -> dict[str, float]:
    """Each track's own score: mean CCC, accuracy of the expression, or mean F1 of the AUs it has."""
    stats = results.statistics(results.processed)
    values = OWN[results.task.decision][1](stats)
    return dict(zip(results.tracks, values.tolist(), strict=True))


def _mean_f1(stats: F64) -> F64:
    """(tracks, 12, 4) -> (tracks,): over the AUs that are there or said to be there; 1 where none is"
    " either."""
    there = stats[..., :3].sum(axis=-1) > 0
    f1 = np.where(there, metrics.f1_of_counts(stats), 0.0)
    return np.asarray(np.where(there.any(axis=1), f1.sum(axis=1) / np.maximum(there.sum(axis=1), 1), 1.0))


def _share_right(stats: F64) -> F64:
    return np.asarray(np.trace(stats, axis1=1, axis2=2) / np.maximum(stats.sum(axis=(1, 2)), 1))


def _mean_ccc(stats: F64) -> F64:
    return np.asarray(metrics.ccc_of(stats).mean(axis=1))


# a track's own score by kind of labels: its name, and how it comes from the sums (tracks, …)
OWN: dict[Decision, tuple[str, Callable[[F64], F64]]] = {
    Decision.CLIP: ("mean CCC", _mean_ccc),
    Decision.ARGMAX: ("share right", _share_right),
    Decision.THRESHOLD: ("mean F1", _mean_f1),
}


def weight_in_total(results: Results) -> dict[str, float]:
    """What the pooled score loses without a track: below 0 for tracks that pull it down."""
    stats = results.statistics(results.processed)
    whole = float(metrics.total(results.task, stats.sum(axis=0)))
    without = metrics.total(results.task, stats.sum(axis=0) - stats)
    return dict(zip(results.tracks, (whole - without).tolist(), strict=True))


def worst_first(results: Results) -> list[str]:
    """The tracks by what they are worth to the pooled score."""
    weight = weight_in_total(results)
    return sorted(results.tracks, key=lambda track: (weight[track], track))


def tracks_section(results: Results, ledgers: dict[str, TrackLedger]) -> Section:
    """All tracks, worst first, and score against faces seen."""
    own, weight = track_scores(results), weight_in_total(results)
    rows, points = [], []
    for track in sorted(results.tracks, key=lambda t: (weight[t], own[t], t)):
        truth, ledger = results.truth[track], ledgers.get(track)
        seen = "" if ledger is None else f"{ledger.found / max(ledger.rows, 1):.0%}"
        rows.append(
            [
                track,
                f"{own[track]:.3f}",
                f"{weight[track]:+.4f}",
                f"{len(truth.values):,}",
                f"{int(truth.valid.sum()):,}",
                seen,
                results.fold_of.get(track, ""),
                truth.subset or "",
            ]
        )
        if ledger is not None:
            points.append(_point(track, own[track], ledger, int(truth.valid.sum()), truth.subset))
    name = OWN[results.task.decision][0]
    head = ["track", name, "worth to the total", "rows", "labelled", "face seen", "fold", "official set"]
    blocks: list[Table | Chart] = [
        Table(
            head,
            rows,
            "Worst first: by what the pooled score would lose without the track; a negative number says"
            " that it would be higher. A track's own score is unsteady where little happens in it. Click a"
            " head to sort, a track to see it in the player.",
            open_rows=OPEN_ROWS,
            tracks=True,
        )
    ]
    if points:
        spec = charts.scatter(points, "share of rows with a face", f"{name} of the track")
        blocks.append(Chart(spec, "Each circle is a track; larger circles have more labelled rows."))
    return Section("Tracks", blocks, prefix=results.task.name)


def _point(track: str, score: float, ledger: TrackLedger, rows: int, subset: str | None) -> dict[str, Any]:
    share = ledger.found / max(ledger.rows, 1)
    return {"name": track, "x": share, "y": score, "size": rows, "series": subset or "annotated"}
