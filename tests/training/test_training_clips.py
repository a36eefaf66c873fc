"""Clips: every row is seen, none crosses into another track, gaps take the nearest valid row."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from abaw_submit.errors import UserError
from abaw_submit.features.cache import feature_path, write_features
from abaw_submit.training.clips import (
    FeatureTable,
    clip_starts,
    epoch_clips,
    overlapping_starts,
)


def put(folder: Path, track: str, values: np.ndarray, valid: np.ndarray | None = None) -> None:
    good = np.ones(len(values), bool) if valid is None else valid
    write_features(
        feature_path(folder, track),
        values,
        good,
        np.arange(len(values)),
        extractor=folder.name,
        fingerprint="",
    )


@given(st.integers(1, 400), st.integers(2, 120), st.data())
def test_the_clips_of_an_epoch_hold_every_row_and_stay_inside_the_track(
    rows: int, clip: int, data: st.DataObject
) -> None:
    starts = clip_starts(rows, clip, data.draw(st.integers(0, clip - 1)))
    seen = {row for start in starts for row in range(start, min(start + clip, rows))}
    assert seen == set(range(rows))
    assert all(start + clip <= rows for start in starts) or starts == [0]


@given(st.integers(1, 400), st.integers(2, 120))
def test_clips_of_prediction_hold_every_row_and_overlap_by_half(rows: int, clip: int) -> None:
    starts = overlapping_starts(rows, clip)
    assert starts[0] == 0
    assert max(starts) == max(0, rows - clip)
    assert all(0 < b - a <= max(1, clip // 2) for a, b in pairwise(starts))


def test_offsets_change_from_epoch_to_epoch_and_depend_on_seed_and_epoch_only() -> None:
    begin = np.array([0, 250, 290, 700])
    first, again, other = (epoch_clips(begin, 100, 1, epoch) for epoch in (0, 0, 1))
    assert first.tolist() == again.tolist()
    assert sorted(first) != sorted(other)
    assert {0, 250, 290} <= set(first.tolist())


def test_gaps_take_the_nearest_valid_row_of_their_own_track(tmp_path: Path) -> None:
    valid = np.array([False, True, False, False, True])
    put(tmp_path / "a", "one", np.arange(5.0)[:, None] + 10, valid)
    put(tmp_path / "a", "two", np.full((2, 1), 99.0))
    table = FeatureTable([tmp_path / "a"], {"one": 5, "two": None})
    assert table.values[:, 0].tolist() == [11, 11, 11, 14, 14, 99, 99]


def test_folders_are_joined_per_row_and_a_silent_track_gets_the_training_mean(tmp_path: Path) -> None:
    for track, rows in (("one", 4), ("two", 3)):
        put(tmp_path / "v", track, np.full((rows, 2), 5.0))
        put(tmp_path / "s", track, np.arange(rows)[:, None] + 1.0, np.full(rows, track == "one"))
    table = FeatureTable([tmp_path / "v", tmp_path / "s"], {"one": 4, "two": 3})
    mean, std = table.statistics()
    assert mean.tolist() == [5, 5, 2.5]  # the silent track does not pull the mean to zero
    assert std[2] == pytest.approx(np.std([1, 2, 3, 4]))
    table.fill_absent(mean)
    assert table.values[4:, 2].tolist() == [2.5, 2.5, 2.5]
    assert [(s.extractor, s.dim) for s in table.sources] == [("v", 2), ("s", 1)]


def test_gather_pads_short_tracks_and_never_reads_the_next_one(tmp_path: Path) -> None:
    put(tmp_path / "a", "one", np.arange(3.0)[:, None])
    put(tmp_path / "a", "two", np.arange(6.0)[:, None] + 100)
    table = FeatureTable([tmp_path / "a"], {"one": 3, "two": 6})
    values, present, places = table.gather(np.array([0, 4]), 5)
    assert values[:, :, 0].tolist() == [[0, 1, 2, 0, 0], [101, 102, 103, 104, 105]]
    assert present.tolist() == [[True] * 3 + [False] * 2, [True] * 5]
    assert places.max() == 8


def test_a_large_table_lies_in_a_file_and_holds_the_same(tmp_path: Path) -> None:
    put(tmp_path / "a", "one", np.random.default_rng(0).normal(size=(50, 7)))
    small = FeatureTable([tmp_path / "a"], {"one": 50})
    large = FeatureTable([tmp_path / "a"], {"one": 50}, cache_gib=0.0)
    assert isinstance(large.values, np.memmap)
    np.testing.assert_array_equal(small.values, large.values)


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


def test_clips_are_seen_in_the_views_that_were_kept(tmp_path: Path) -> None:
    """Only in training, only the numbers of the source that has them; gaps as in the first view."""
    values = np.arange(6, dtype=np.float32).reshape(3, 2)
    views = np.stack([values + 100, values + 200])
    for folder, more in (("seen", {"views": views}), ("heard", {})):
        path = feature_path(tmp_path / folder, "one")
        path.parent.mkdir()
        write_features(
            path, values, [True, True, False], np.arange(3), extractor=folder, fingerprint="x", **more
        )
    folders = [tmp_path / "heard", tmp_path / "seen"]
    table = FeatureTable(folders, {"one": 3}, with_views=True)
    assert table.views == 3
    got, _, _ = table.gather(np.array([0, 0, 0]), 3, np.array([0, 1, 2]))
    np.testing.assert_array_equal(got[:, :, :2], np.stack([table.values[:, :2]] * 3))
    np.testing.assert_array_equal(got[0, :, 2:], [[0, 1], [2, 3], [2, 3]])
    np.testing.assert_array_equal(got[2, :, 2:], [[200, 201], [202, 203], [202, 203]])
    assert FeatureTable(folders, {"one": 3}).views == 1

    two = feature_path(tmp_path / "seen", "two")
    write_features(two, values, [True] * 3, np.arange(3), extractor="seen", fingerprint="x")
    with pytest.raises(UserError, match="0 further views; 2 in one"):
        FeatureTable([tmp_path / "seen"], {"one": 3, "two": 3}, with_views=True)
