"""The table of features: gaps take the nearest valid row, folders are joined, a file holds the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from abaw_submit.errors import UserError
from abaw_submit.training.table import FeatureTable, TrackFeatures
from tests.training.feature_files import put


def test_gaps_take_the_nearest_valid_row_of_their_own_track(tmp_path: Path) -> None:
    valid = np.array([False, True, False, False, True])
    put(tmp_path / "a", "one", np.arange(5.0)[:, None] + 10, valid)
    put(tmp_path / "a", "two", np.full((2, 1), 99.0))
    table = FeatureTable([tmp_path / "a"], {"one": 5, "two": None})
    assert table.store.read(0, 7)[:, 0].tolist() == [11, 11, 11, 14, 14, 99, 99]


def test_folders_are_joined_per_row_and_a_silent_track_gets_the_training_mean(tmp_path: Path) -> None:
    for track, rows in (("one", 4), ("two", 3)):
        put(tmp_path / "v", track, np.full((rows, 2), 5.0))
        put(tmp_path / "s", track, np.arange(rows)[:, None] + 1.0, np.full(rows, track == "one"))
    table = FeatureTable([tmp_path / "v", tmp_path / "s"], {"one": 4, "two": 3})
    mean, std = table.statistics()
    assert mean.tolist() == [5, 5, 2.5]  # the silent track does not pull the mean to zero
    assert std[2] == pytest.approx(np.std([1, 2, 3, 4]))
    table.fill_absent(mean)
    assert table.values_of(1)[:, 2].tolist() == [2.5, 2.5, 2.5]
    assert [(s.extractor, s.dim) for s in table.sources] == [("v", 2), ("s", 1)]


def test_a_large_table_lies_in_a_file_and_holds_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for track, rows in (("one", 50), ("two", 3), ("three", 9)):
        put(tmp_path / "a", track, rng.normal(size=(rows, 131)) * 100, rng.random(rows) < 0.7)
        put(tmp_path / "b", track, rng.normal(size=(rows, 2)), np.full(rows, track != "three"))
    made = [
        FeatureTable([tmp_path / "a", tmp_path / "b"], {"one": 50, "two": None, "three": 9}, cache_gib=gib)
        for gib in (8.0, 0.0)
    ]
    assert [table.store.array is None for table in made] == [False, True]
    statistics = [table.statistics() for table in made]
    np.testing.assert_array_equal(statistics[0], statistics[1])
    for table in made:
        table.fill_absent(statistics[0][0])
    np.testing.assert_array_equal(made[0].store.read(0, 62), made[1].store.read(0, 62))
    values = (
        made[1].store.read(0, 53).astype(np.float64)
    )  # the third track has no numbers of the second folder
    np.testing.assert_allclose(statistics[0][0][131:], values[:, 131:].mean(0), rtol=1e-6)
    np.testing.assert_allclose(statistics[0][1][131:], values[:, 131:].std(0), rtol=1e-6)
    assert (made[1].values_of(2)[:, 131:] == statistics[0][0][131:].astype(np.float16)).all()


def test_a_track_alone_is_what_the_table_holds(tmp_path: Path) -> None:
    put(tmp_path / "a", "one", np.arange(6.0).reshape(3, 2), np.array([False, True, True]))
    put(tmp_path / "b", "one", np.zeros((3, 1)), np.zeros(3, bool))
    read = TrackFeatures([tmp_path / "a", tmp_path / "b"], "one").read("one", None)
    assert read.absent == (slice(2, 3),)
    assert read.filled(np.array([9, 9, 7], np.float32)).tolist() == [[2, 3, 7], [2, 3, 7], [4, 5, 7]]


@pytest.mark.parametrize(
    ("rows", "message"),
    [({"one": 4}, "3 rows; 4 are expected"), ({"none": 3}, "No features"), ({}, "No track")],
)
def test_rows_that_do_not_fit_are_named(tmp_path: Path, rows: dict[str, int | None], message: str) -> None:
    put(tmp_path / "a", "one", np.zeros((3, 1)))
    with pytest.raises(UserError, match=message):
        FeatureTable([tmp_path / "a"], rows)


def test_widths_must_agree_between_tracks(tmp_path: Path) -> None:
    put(tmp_path / "a", "one", np.zeros((3, 1)))
    put(tmp_path / "a", "two", np.zeros((3, 2)))
    with pytest.raises(UserError, match="2 numbers a row; 1 in one"):
        FeatureTable([tmp_path / "a"], {"one": 3, "two": 3})
