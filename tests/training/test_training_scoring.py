"""Prediction: tracks come and go one by one; batches and neighbours do not show; folds share one reading."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from abaw_submit.errors import UserError
from abaw_submit.features.cache import feature_path, read_features, write_features
from abaw_submit.models.checkpoint import write_config, write_weights
from abaw_submit.models.sequence.registry import build_model
from abaw_submit.models.sequence.streams import Stream
from abaw_submit.models.settings import SequenceSize
from abaw_submit.scores.files import read_scores
from abaw_submit.tasks import TASKS, any_task
from abaw_submit.training import predict as stage
from abaw_submit.training.predict import Prediction, predict, predict_several
from abaw_submit.training.scoring import predict_tracks
from abaw_submit.training.settings import TmfSettings

CPU = torch.device("cpu")
SIZE = SequenceSize(conv_dim=8, model_dim=8, heads=2, layers=1)
ROWS = {"c": 45, "a": 7, "b": 16, "d": 90}


def model_of(task: str, seed: int = 0):
    torch.manual_seed(seed)
    return build_model((Stream("mae", 5),), any_task(task), SIZE).eval()


def tracks():
    rng = np.random.default_rng(0)
    return [(name, rng.normal(size=(rows, 5)).astype(np.float16)) for name, rows in ROWS.items()]


@pytest.mark.parametrize("task", ["AU", "VA", "AH"])
@pytest.mark.parametrize("most", [512, 5])
def test_tracks_that_share_batches_score_as_they_do_alone(monkeypatch, task, most) -> None:
    from abaw_submit.training import scoring

    model = model_of(task)
    alone = list(predict_tracks(model, tracks(), 16, CPU))
    monkeypatch.setattr(scoring, "_CLIPS_TOGETHER", most)
    shared = list(predict_tracks(model, tracks(), 16, CPU, together=True))
    assert [name for name, _ in shared] == [name for name, _ in alone] == list(ROWS)
    for (name, a), (_, b) in zip(alone, shared, strict=True):
        assert len(a) == (1 if task == "AH" else ROWS[name])
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_a_track_is_handed_on_before_the_next_is_read() -> None:
    read = []

    def coming():
        for name, values in tracks():
            read.append(name)
            yield name, values

    scores = predict_tracks(model_of("AU"), coming(), 16, CPU)
    assert next(scores)[0] == "c"
    assert read == ["c"]


@pytest.fixture
def folds(tmp_path: Path):
    """Two folds with an encoder each and one sound, and a list of tracks."""
    rng = np.random.default_rng(1)
    for name, dim in (("mae_0", 3), ("mae_1", 3), ("logmel", 2)):
        for track, rows in ROWS.items():
            path = feature_path(tmp_path / name, track)
            path.parent.mkdir(exist_ok=True)
            valid = np.full(rows, not (name == "logmel" and track == "b"))
            values = rng.normal(size=(rows, dim))
            extractor = name.split("_")[0]
            write_features(path, values, valid, np.arange(rows), extractor=extractor, fingerprint="x")
    (tmp_path / "tracks.txt").write_text("\n".join(ROWS) + "\n")
    made = []
    for k in range(2):
        folder = tmp_path / f"fold_{k}"
        folder.mkdir()
        torch.manual_seed(k)
        model = build_model((Stream("mae", 3), Stream("logmel", 2)), TASKS["VA"], SIZE)
        write_weights(folder, model.state_dict())
        write_config(
            folder,
            {
                "train": {"task": "VA", "fold": str(k), **asdict(TmfSettings(clip_rows=16))},
                "sequence": asdict(SIZE),
                "features": {"extractors": ["mae", "logmel"], "dims": [3, 2]},
            },
        )
        made.append((folder, (tmp_path / f"mae_{k}", tmp_path / "logmel")))
    return made, tmp_path / "tracks.txt"


def test_several_folds_have_the_bytes_they_have_alone_and_share_what_they_read(
    folds, tmp_path: Path, monkeypatch
) -> None:
    made, listed = folds
    for k, (folder, features) in enumerate(made):
        assert predict(folder, features, listed, tmp_path / f"alone_{k}.h5", device="cpu")
    read: list[Path] = []
    monkeypatch.setattr(stage, "read_features", lambda path: read.append(path) or read_features(path))
    wanted = [Prediction(f, features, tmp_path / f"both_{k}.h5") for k, (f, features) in enumerate(made)]
    results = predict_several(wanted, listed, device="cpu")
    assert [(task.name, rows) for task, rows in results if task] == [("VA", sum(ROWS.values()))] * 2
    times = {path.parent.name: 0 for path in read}
    for path in read:
        times[path.parent.name] += 1
    assert times["logmel"] == times["mae_0"] == times["mae_1"] == len(ROWS) + 1  # one says how wide it is
    for k in range(2):
        assert (tmp_path / f"both_{k}.h5").read_bytes() == (tmp_path / f"alone_{k}.h5").read_bytes()
    assert predict_several(wanted, listed, device="cpu") == [None, None]
    assert list(read_scores(tmp_path / "both_0.h5")) == sorted(ROWS)


def test_nothing_is_left_of_scores_that_broke_off(folds, tmp_path: Path) -> None:
    made, listed = folds
    feature_path(made[1][1][0], "d").write_bytes(b"broken")
    wanted = [Prediction(f, features, tmp_path / f"both_{k}.h5") for k, (f, features) in enumerate(made)]
    with pytest.raises(UserError, match="not a readable HDF5 file"):
        predict_several(wanted, listed, device="cpu")
    assert not list(tmp_path.glob("both_*.h5*"))


def test_text_scores_and_other_features(folds, tmp_path: Path) -> None:
    made, listed = folds
    folder, features = made[0]
    predict(folder, features, listed, tmp_path / "text", device="cpu")
    predict(folder, features, listed, tmp_path / "file.h5", device="cpu")
    text, file = read_scores(tmp_path / "text", "VA"), read_scores(tmp_path / "file.h5")
    for track in ROWS:
        np.testing.assert_array_equal(text[track], file[track])
    with pytest.raises(UserError, match=r"was trained on features mae \(3\) \+ logmel \(2\);\nfound logmel"):
        predict(folder, features[::-1], listed, tmp_path / "other.h5", device="cpu")
