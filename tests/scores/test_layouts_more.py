"""Fifteen and more layouts of other tools: the same scores out; what needs a package says so."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from abaw_submit.scores.files import read_scores
from abaw_submit.scores.sniff.assemble import Expected
from abaw_submit.scores.sniff.names import known_track, track_names
from abaw_submit.scores.sniff.table import Options
from abaw_submit.scores.sniff.understand import understand
from abaw_submit.tasks import TASKS

_spec = importlib.util.spec_from_file_location("layouts_more", Path(__file__).with_name("layouts_more.py"))
more = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(more)
ROWS = {"102": 17, "video2_left": 15, "10-60-1280x720": 19}


def made(task):
    return more._layouts.make_scores(task, ROWS)


def check(source, task, tracks):
    for expected in (None, Expected(ROWS, "template", True)):
        found = understand(source, TASKS[task], Options(), expected)
        assert sorted(found.tracks) == sorted(tracks)
        for track, values in tracks.items():
            np.testing.assert_array_equal(found.tracks[track], values, err_msg=track)
    return found


@pytest.mark.parametrize("task", ["VA", "EXPR", "AU"])
@pytest.mark.parametrize("name", more.LAYOUTS)
def test_every_layout_gives_the_same_scores(tmp_path, name, task):
    if "torch" in name:
        pytest.importorskip("torch")
    tracks = made(task)
    source = more.LAYOUTS[name](tmp_path / "scores", tracks, task)
    check(source, task, tracks)
    assert sorted(read_scores(source, task)) == sorted(tracks)


@pytest.mark.parametrize("name", more.PARQUET)
def test_parquet_of_any_index_and_type_of_columns(tmp_path, name):
    pytest.importorskip("pyarrow")
    tracks = made("AU")
    check(more.PARQUET[name](tmp_path / "scores", tracks, "AU"), "AU", tracks)


@pytest.mark.parametrize("kind", ["plain", "index", "types", "vectors", "shuffled"])
def test_what_pandas_makes_of_parquet_is_read_right(tmp_path, monkeypatch, kind):
    """The same without pyarrow: only the bytes of the file are left out."""
    import pandas as pd

    from abaw_submit.scores.sniff import borrowed

    kept = {}
    monkeypatch.setattr(pd.DataFrame, "to_parquet", lambda self, path: kept.update(frame=self))
    tracks = made("EXPR")
    path = more.PARQUET[kind](tmp_path / "scores", tracks, "EXPR")
    path.write_bytes(b"PAR1" + bytes(16))
    monkeypatch.setattr(borrowed, "find_spec", lambda name: name)
    monkeypatch.setattr("importlib.import_module", lambda name: type("m", (), {"__version__": "26.0.1"}))
    monkeypatch.setattr(pd, "read_parquet", lambda path: kept["frame"])
    check(path, "EXPR", tracks)


def test_a_word_before_or_behind_a_name_goes_only_if_all_have_it():
    assert track_names(["pred_102_feat.npy", "pred_video2_feat.npy"])[0] == ["102", "video2"]
    assert track_names(["102_scores_va", "video2_scores_va"])[0] == ["102", "video2"]
    assert track_names(["pred_102", "video2"])[0] == ["pred_102", "video2"]
    assert track_names(["pred_102", "video2"], {"102", "video2"})[0] == ["102", "video2"]
    assert track_names(["pred_102", "pred_8"], {"pred_102", "pred_8"})[0] == ["pred_102", "pred_8"]
    assert known_track("scores_video2_predictions_au.csv", {"video2"}) == "video2"
