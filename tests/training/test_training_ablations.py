"""The paper's tables on a tiny corpus: every row there, differences paired, nothing trained twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from abaw_submit.corpus.annotations import Annotation
from abaw_submit.errors import UserError
from abaw_submit.postprocess.comparison import compare, pool, table_lines
from abaw_submit.scores.files import Scores
from abaw_submit.store import read_record
from abaw_submit.tasks import VA


def test_all_tables_of_a_run(corpus, run, train, tmp_path: Path) -> None:
    splits, out = tmp_path / "va.json", tmp_path / "ablations"
    run("split", "--task", "VA", "--annotations", corpus.annotations, "--folds", 2, "--out", splits)
    for fold in ("0", "1", "official"):
        train("VA", tmp_path / "full" / fold, "--features", corpus.features("visual"), "--features",
              corpus.features("sound"), "--annotations", corpus.annotations, "--splits", splits,
              "--fold", fold, "--epochs", 3)  # fmt: skip
    words = [
        "ablate", "--task", "VA", "--trained", tmp_path / "full/{fold}", "--features",
        f"seen={corpus.features('visual')}", "--features", f"heard={corpus.features('sound')}",
        "--annotations", corpus.annotations, "--splits", splits, "--plain", corpus.features("visual"),
        "--frames", tmp_path / "full/{fold}/scores_validation.h5", "--model", "gru", "--out", out,
    ]  # fmt: skip
    said = run(*words)
    names = {path.name: pd.read_csv(path) for path in out.glob("*.csv")}
    assert {name: list(table["name"]) for name, table in names.items()} == {
        "va_folds.csv": ["fold 0", "fold 1", "fold official", "all folds"],
        "va_filters.csv": ["no filter", "median:50", "mean:50", "gaussian:25"],
        "va_parts.csv": ["full model", "without TMF (single frames)", "without fine-tuning"],
        "va_features.csv": ["full model", "seen alone", "heard alone"],
        "va_models.csv": ["full model", "gru"],
    }
    parts = names["va_parts.csv"].set_index("name")
    # these rows are the full model's own scores here, or a repeated training of it
    for name in ("without TMF (single frames)", "without fine-tuning"):
        assert parts.loc[name, "difference"] == 0
        assert parts.loc[name, "difference_high"] == 0
    assert {"valence", "arousal", "low", "high"} <= set(parts.columns)
    assert "VA features, mean CCC" in said
    before = read_record(out / "va" / "gru" / "fold_0")
    run(*words)
    assert read_record(out / "va" / "gru" / "fold_0") == before
    with pytest.raises(UserError, match="Train the full model of every fold first"):
        run(*["ablate" if w == "ablate" else tmp_path / "none_{fold}" if w == words[4] else w for w in words])


def annotation(track: str, rows: int, seed: int) -> Annotation:
    values = np.random.default_rng(seed).uniform(-1, 1, (rows, 2)).astype(np.float32)
    return Annotation(track, VA, values, np.ones(rows, bool), None, Path(track), VA.columns)


def test_differences_are_paired_and_only_shared_tracks_count() -> None:
    truth = {f"20{k}": annotation(f"20{k}", 80, k) for k in range(6)}
    rng = np.random.default_rng(9)
    noisy = {t: a.values + rng.normal(size=a.values.shape) * 0.5 for t, a in truth.items()}
    better = {t: a.values + (noisy[t] - a.values) * 0.8 for t, a in truth.items()}
    rows = compare(
        VA, truth, {"noisy": noisy, "better": better, "short": {t: noisy[t] for t in ("200", "201")}}
    )
    assert {row["tracks"] for row in rows} == {"2"}
    rows = compare(VA, truth, {"noisy": noisy, "better": better})
    assert float(rows[1]["difference_low"]) > 0
    apart = float(rows[1]["high"]) - float(rows[0]["low"])
    assert float(rows[1]["difference_high"]) - float(rows[1]["difference_low"]) < apart
    assert len(table_lines(rows)) == 2
    with pytest.raises(UserError, match="No annotated track"):
        compare(VA, truth, {"none": {"x": noisy["200"]}})
    with pytest.raises(UserError, match="validation scores of two folds"):
        pool([Scores(VA, {"200": np.zeros((80, 2), np.float32)})] * 2)
