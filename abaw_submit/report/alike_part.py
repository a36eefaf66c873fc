"""How alike the run's systems are: what an ensemble of them could gain from."""

from __future__ import annotations

import numpy as np

from abaw_submit.postprocess import charts
from abaw_submit.postprocess.ensemble import agreement
from abaw_submit.report.blocks import Chart, Section
from abaw_submit.report.find import TaskRun
from abaw_submit.report.results import Results
from abaw_submit.report.scores_part import RECIPE_NAME
from abaw_submit.scores.files import Scores, read_member


def alike_section(run: TaskRun, results: Results) -> Section | None:
    """Correlations of the out-of-fold scores of the systems; None for fewer than two."""
    systems: dict[str, Scores] = {
        name: read_member(paths, run.task)
        for name, paths in (("single-frame head", run.frame), ("TMF, picture only", run.visual))
        if paths
    }
    systems["TMF"] = results.raw
    if results.has_recipe:
        systems[RECIPE_NAME] = results.processed
    tracks = [track for track in results.tracks if all(track in scores for scores in systems.values())]
    if len(systems) < 2 or not tracks:
        return None
    # (systems, rows, outputs); a row without scores says nothing about likeness
    values = np.stack([np.concatenate([scores[t] for t in tracks]) for scores in systems.values()])
    values = values[:, np.isfinite(values).all(axis=(0, 2))]
    drawn, _ = charts.agreement(
        {
            "members": [{"name": name} for name in systems],
            "agreement": {
                output: agreement(np.atleast_2d(np.cov(values[:, :, k])))
                for k, output in enumerate(run.task.columns)
            },
            "rows": values.shape[1],
        }
    )
    return Section(
        "How alike the systems are",
        [
            Chart(
                drawn,
                "Correlation of the out-of-fold scores, mean over outputs. Two systems help each other in an"
                " ensemble when they are nearly as good and not alike: a pair near 1 is one system twice.",
            )
        ],
        prefix=run.task.name,
    )
