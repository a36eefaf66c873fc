"""Clips as tensors: the same numbers from memory, from a file and from a table on the device."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from abaw_submit.errors import UserError
from abaw_submit.features.cache import feature_path, write_features
from abaw_submit.training.gather import Clips
from abaw_submit.training.table import FeatureTable
from tests.training.feature_files import put

CPU = torch.device("cpu")


def test_short_tracks_are_padded_and_the_next_one_is_never_read(tmp_path: Path) -> None:
    put(tmp_path / "a", "one", np.arange(3.0)[:, None])
    put(tmp_path / "a", "two", np.arange(6.0)[:, None] + 100)
    for gib in (8.0, 0.0):
        for on_device in (False, True):
            clips = Clips(FeatureTable([tmp_path / "a"], {"one": 3, "two": 6}, gib), 5, CPU, on_device)
            batch = clips.load(np.array([0, 4]))
            assert (batch.values is None) == on_device
            values = clips.features(batch)
            assert values.dtype == torch.float32
            assert values[:, :, 0].tolist() == [[0, 1, 2, 0, 0], [101, 102, 103, 104, 105]]
            assert batch.present.tolist() == [[True] * 3 + [False] * 2, [True] * 5]
            assert int(batch.places.max()) == 8


def test_a_table_stays_on_the_host_where_the_device_has_no_room(tmp_path: Path, monkeypatch) -> None:
    """As on a GPU, asked of torch's "meta" device, which computes nothing."""
    from abaw_submit.training import gather

    put(tmp_path / "a", "one", np.zeros((40, 8)))
    table = FeatureTable([tmp_path / "a"], {"one": 40})
    monkeypatch.setattr(gather, "copy_ahead", lambda tensor, device: tensor.to(device))
    for free, values in ((40 * 8 * 2 * 3, None), (40 * 8 * 2, (1, 16, 8)), (None, (1, 16, 8))):
        monkeypatch.setattr(gather, "free_bytes", lambda device, free=free: free)
        clips = Clips(table, 16, torch.device("meta"))
        batch = clips.load(np.array([3]))
        assert (None if batch.values is None else tuple(batch.values.shape)) == values
        assert clips.features(batch).shape == (1, 16, 8)
        assert batch.places.device.type == "meta"


def assert_views(table: FeatureTable, got: np.ndarray) -> None:
    np.testing.assert_array_equal(got[:, :, :2], np.stack([table.values_of(0)[:, :2]] * 3))
    np.testing.assert_array_equal(got[0, :, 2:], [[0, 1], [2, 3], [2, 3]])
    np.testing.assert_array_equal(got[2, :, 2:], [[200, 201], [202, 203], [202, 203]])


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
    for on_device in (False, True):
        clips = Clips(table, 3, CPU, on_device)
        got = clips.features(clips.load(np.array([0, 0, 0])), torch.tensor([0, 1, 2])).numpy()
        assert_views(table, got)
    assert FeatureTable(folders, {"one": 3}).views == 1

    two = feature_path(tmp_path / "seen", "two")
    write_features(two, values, [True] * 3, np.arange(3), extractor="seen", fingerprint="x")
    with pytest.raises(UserError, match="0 further views; 2 in one"):
        FeatureTable([tmp_path / "seen"], {"one": 3, "two": 3}, with_views=True)
