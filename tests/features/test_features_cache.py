"""The feature cache: what is written is read back, same bytes, whole or not at all."""

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from abaw_submit.arrays import FLOAT16_MAX
from abaw_submit.errors import UserError
from abaw_submit.features.cache import (
    feature_path,
    list_tracks,
    read_features,
    read_fingerprint,
    write_features,
)


def write(path, values=None, valid=None, time_s=None, **more):
    values = np.arange(12).reshape(4, 3) if values is None else values
    rows = len(values)
    valid = [True] * rows if valid is None else valid
    time_s = np.arange(rows) / 30 if time_s is None else time_s
    write_features(path, values, valid, time_s, **{"extractor": "mae", "fingerprint": "f1", **more})


def test_a_written_file_reads_back(tmp_path):
    path = feature_path(tmp_path, "video2_left")
    write(path, valid=[True, False, True, True], attributes={"fps": 29.97})

    features = read_features(path)

    assert (features.rows, features.dim) == (4, 3)
    assert features.values.dtype == np.float16
    assert features.valid.tolist() == [True, False, True, True]
    assert features.values.tolist() == [[0, 1, 2], [0, 0, 0], [6, 7, 8], [9, 10, 11]]  # row 2 is not valid
    np.testing.assert_array_equal(features.time_s, np.arange(4) / 30)
    assert features.attributes == {"schema": 1, "extractor": "mae", "fingerprint": "f1", "fps": 29.97}
    assert read_fingerprint(path) == "f1"
    assert list_tracks(tmp_path) == ["video2_left"]


def test_the_same_features_give_the_same_bytes_and_leave_nothing_else(tmp_path):
    write(tmp_path / "a" / "t.h5")
    write(tmp_path / "b" / "t.h5")
    assert (tmp_path / "a" / "t.h5").read_bytes() == (tmp_path / "b" / "t.h5").read_bytes()
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["t.h5"]


def test_nan_in_a_valid_row_is_refused_and_the_old_file_stays(tmp_path):
    write(tmp_path / "t.h5")
    with pytest.raises(UserError, match="row 2: mae gave NaN or infinity"):
        write(tmp_path / "t.h5", values=[[1.0], [np.nan]])
    assert read_features(tmp_path / "t.h5").rows == 4


def test_nan_in_a_row_that_is_not_valid_becomes_zero(tmp_path):
    write(tmp_path / "t.h5", values=[[1.0], [np.nan]], valid=[True, False])
    assert read_features(tmp_path / "t.h5").values.tolist() == [[1.0], [0.0]]


def test_values_beyond_float16_are_held_at_its_range(tmp_path):
    write(tmp_path / "t.h5", values=[[1e9, -1e9]])
    assert read_features(tmp_path / "t.h5").values.tolist() == [[FLOAT16_MAX, -FLOAT16_MAX]]


def test_shapes_that_do_not_fit_are_a_programming_error(tmp_path):
    with pytest.raises(ValueError, match="do not fit"):
        write(tmp_path / "t.h5", values=[[1.0]], valid=[True, True])


@settings(max_examples=25, deadline=None)
@given(
    values=hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=6),
        elements=st.floats(-1000, 1000, width=32),
    )
)
def test_float16_is_all_that_is_lost(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("cache") / "t.h5"
    write(path, values=values)
    np.testing.assert_array_equal(read_features(path).values, values.astype(np.float16))


class TestWhatIsNotAFeaturesFile:
    def test_missing(self, tmp_path):
        with pytest.raises(UserError, match="No features at"):
            read_features(tmp_path / "t.h5")
        with pytest.raises(UserError, match=r"holds no <track>\.h5"):
            list_tracks(tmp_path)
        assert read_fingerprint(tmp_path / "t.h5") is None

    def test_broken(self, tmp_path):
        (tmp_path / "t.h5").write_bytes(b"half a file")
        with pytest.raises(UserError, match="not a readable HDF5 file"):
            read_features(tmp_path / "t.h5")
        assert read_fingerprint(tmp_path / "t.h5") is None

    def test_another_hdf5_file(self, tmp_path):
        with h5py.File(tmp_path / "t.h5", "w") as file:
            file["values"] = [1]
        with pytest.raises(UserError, match="is not a features file"):
            read_features(tmp_path / "t.h5")

    def test_another_schema(self, tmp_path):
        write(tmp_path / "t.h5")
        with h5py.File(tmp_path / "t.h5", "a") as file:
            file.attrs["schema"] = 99
        with pytest.raises(UserError, match="schema 99; expected 1"):
            read_features(tmp_path / "t.h5")
        assert read_fingerprint(tmp_path / "t.h5") is None
