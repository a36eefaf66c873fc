"""HDF5 files that point elsewhere, promise more than they hold, or are damaged."""

import itertools
import resource
import subprocess
import sys
import zlib

import h5py
import numpy as np
import pytest

import abaw_submit.allowance
import abaw_submit.hdf5
from abaw_submit.errors import UserError
from abaw_submit.features.cache import read_features, write_features
from abaw_submit.scores.files import Scores, read_scores, write_scores
from abaw_submit.tasks import AU, VA


@pytest.fixture
def secret(tmp_path):
    (tmp_path / "secret.bin").write_bytes(b"password" * 100)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["values"] = np.ones((4, 2), np.float16)
        file["a"] = np.ones((4, 2), np.float32)
    return tmp_path


def features(path, change):
    write_features(path, np.ones((4, 2)), np.ones(4, bool), np.arange(4.0), extractor="x", fingerprint="f")
    with h5py.File(path, "a") as file:
        del file["values"]
        change(file)
    return path


def scores(path, change):
    write_scores(path, Scores(VA, {"a": np.zeros((4, 2))}))
    with h5py.File(path, "a") as file:
        del file["a"]
        change(file)
    return path


def external(folder, name, dtype):
    space = h5py.h5s.create_simple((4, 2))
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_external(str(folder / "secret.bin").encode(), 0, 4 * 2 * np.dtype(dtype).itemsize)
    kind = h5py.h5t.py_create(np.dtype(dtype))
    return lambda file: h5py.h5d.create(file.id, name.encode(), kind, space, properties)


def virtual(folder, name, dtype):
    layout = h5py.VirtualLayout((4, 2), dtype)
    layout[:] = h5py.VirtualSource(folder / "other.h5", name, (4, 2))
    return lambda file: file.create_virtual_dataset(name, layout)


def link(folder, name, dtype):
    return lambda file: file.__setitem__(name, h5py.ExternalLink(str(folder / "other.h5"), name))


def soft(folder, name, dtype):
    return lambda file: file.__setitem__(name, h5py.SoftLink("/time_s"))


def huge(folder, name, dtype):
    return lambda file: file.create_dataset(
        name, (1 << 34, 2), dtype, chunks=(1 << 20, 2), compression="gzip"
    )


def bomb(folder, name, dtype):
    return bomb_of(1 << 29, name, dtype)


def bomb_of(size, name="a", dtype=np.float32):
    """Zeros, compressed once and stored many times."""

    def change(file):
        piece = np.zeros((1 << 20, 2), dtype)
        rows, packed = size // piece[0].nbytes, zlib.compress(piece.tobytes())
        data = file.create_dataset(name, (rows, 2), dtype, chunks=piece.shape, compression="gzip")
        for first in range(0, rows, len(piece)):
            data.id.write_direct_chunk((first, 0), packed)

    return change


def words(folder, name, dtype):
    return lambda file: file.create_dataset(name, data=["a", "b"])


@pytest.mark.parametrize("change", [external, virtual, link, soft, huge, bomb, words])
def test_what_lies_outside_or_is_promised_only_is_refused_before_memory_is_taken(secret, change):
    one = features(secret / "102.h5", change(secret, "values", np.float16))
    two = scores(secret / "s.h5", change(secret, "a", np.float32))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError, match=r"102.h5, values"):
        read_features(one)
    with pytest.raises(UserError, match=r"s.h5"):
        read_scores(two, VA)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_one_array_under_many_names_counts_as_often(tmp_path):
    scores(tmp_path / "s.h5", bomb_of(1 << 26))
    with h5py.File(tmp_path / "s.h5", "a") as file:
        for number in range(9):
            file[f"again{number}"] = file["a"]
    with pytest.raises(UserError, match="are left"):
        read_scores(tmp_path / "s.h5", VA)


def test_groups_that_hold_each_other_are_refused(tmp_path, monkeypatch):
    with h5py.File(tmp_path / "s.h5", "w") as file:
        for number in range(10):
            file[f"{number}"] = file["/"]
    with pytest.raises(UserError, match="nested more than"):
        read_scores(tmp_path / "s.h5", VA)
    with h5py.File(tmp_path / "s.h5", "w") as file:  # 11 groups with a million names
        for depth in range(7):
            file.create_group(f"{depth}")
        for depth, number in itertools.product(range(6), range(10)):
            file[f"{depth}"][f"n{number}"] = file[f"{depth + 1}"]
    monkeypatch.setattr(abaw_submit.hdf5, "_MOST_NAMES", 1000)
    with pytest.raises(UserError, match="more than 1,000 names"):
        read_scores(tmp_path / "s.h5", VA)


def test_one_long_text_that_many_share_counts_as_often(tmp_path, monkeypatch):
    for module in (abaw_submit.hdf5, abaw_submit.allowance):
        monkeypatch.setattr(module, "FREE_BYTES", 1 << 20)
    path = tmp_path / "t.h5"
    with h5py.File(path, "w") as file:
        file["names"] = np.array(["x" * 60_000] + ["y"] * 299, object)
        place = file["names"].id.get_offset()
    data = bytearray(path.read_bytes())
    reference = 16  # bytes: length and place of a text
    data[place : place + 300 * reference] = bytes(data[place : place + reference]) * 300
    path.write_bytes(data)
    with pytest.raises(UserError, match="more than are allowed"):
        read_scores(path, VA)


def test_scores_of_the_official_size_are_read_however_well_they_shrink(tmp_path):
    rows = 2_940_000
    path = tmp_path / "s.h5"
    write_scores(path, Scores(AU, {"a": np.zeros((4, 12))}))
    with h5py.File(path, "a") as file:
        del file["a"]
        file.create_dataset(
            "a", data=np.zeros((rows, 12), np.float32), chunks=(1 << 16, 12), compression="gzip"
        )
    assert path.stat().st_size < 1 << 20
    assert read_scores(path, AU)["a"].shape == (rows, 12)


def test_features_that_are_not_numbers_are_refused_with_their_row(secret):
    values = np.ones((4, 2), np.float16)
    values[2, 1] = np.nan
    path = features(secret / "102.h5", lambda file: file.__setitem__("values", values))
    with pytest.raises(UserError, match=r"102.h5, row 3: NaN or infinity in 1 rows"):
        read_features(path)


@pytest.mark.parametrize("seed", range(4))
def test_a_damaged_file_is_one_message(tmp_path, seed):
    path, rng = tmp_path / "102.h5", np.random.default_rng(seed)
    write_features(path, np.ones((40, 8)), np.ones(40, bool), np.arange(40.0), extractor="x", fingerprint="f")
    write_scores(tmp_path / "s.h5", Scores(VA, {f"t{k}": np.zeros((40, 2)) for k in range(5)}))
    told = []
    for file, read in ((path, read_features), (tmp_path / "s.h5", read_scores)):
        whole = file.read_bytes()
        for _ in range(60):
            data = bytearray(whole)
            for at in rng.integers(0, len(data), 1 + rng.integers(8)):
                data[at] = rng.integers(256)
            file.write_bytes(data[: rng.integers(1, len(data))] if rng.random() < 0.3 else data)
            try:
                read(file)
            except UserError as error:
                told.append(str(error))
    assert told
    assert max(len(text.splitlines()) for text in told) <= 3


@pytest.mark.parametrize("size", [0, (1 << 64) - 16, 1 << 20])
def test_texts_without_end_are_refused_before_hdf5_walks_them_for_ever(tmp_path, size):
    """In a process of its own: HDF5 hears no signal while it walks, and Python none either."""
    path = tmp_path / "102.h5"
    write_features(path, np.ones((3, 2)), np.ones(3, bool), np.arange(3.0), extractor="x", fingerprint="f")
    data = bytearray(path.read_bytes())
    heap = data.index(b"GCOL\x01\0\0\0")
    first = int.from_bytes(data[heap + 24 : heap + 32], "little")
    free = heap + 32 + -(-first // 8) * 8  # the object after the first
    data[free : free + 8] = bytes(8)  # makes it the free space
    data[free + 8 : free + 16] = size.to_bytes(8, "little")
    path.write_bytes(data)
    code = f"""
from pathlib import Path
from abaw_submit.errors import UserError
from abaw_submit.features.cache import read_features, read_fingerprint
assert read_fingerprint(Path({str(path)!r})) is None
try:
    read_features({str(path)!r})
except UserError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert f"{path} is a damaged HDF5 file: its texts, at byte {free}, have no end." in done.stdout


def test_what_only_looks_like_a_heap_of_texts_is_read(tmp_path):
    path = tmp_path / "102.h5"
    values = np.frombuffer(b"GCOL\x01\0\0\0" + bytes(108), np.float16).reshape(-1, 2)
    write_features(path, values, np.ones(29, bool), np.arange(29.0), extractor="x", fingerprint="f")
    assert read_features(path).rows == 29


def test_an_attribute_that_is_neither_number_nor_text_is_refused(tmp_path):
    """Read from a damaged file it ends the process: texts that became lists of numbers do."""
    path = tmp_path / "102.h5"
    write_features(path, np.ones((3, 2)), np.ones(3, bool), np.arange(3.0), extractor="x", fingerprint="f")
    with h5py.File(path, "a") as file:
        lists = np.empty(1, object)
        lists[0] = np.array([1, 2], np.int8)
        file.attrs.create("extractor", lists, dtype=h5py.vlen_dtype(np.int8))
    with pytest.raises(UserError, match="extractor is neither a number nor text"):
        read_features(path)
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file.attrs["task"] = file.ref
        file.attrs["columns"] = ["valence", "arousal"]
        file["102"] = np.ones((3, 2), np.float32)
    with pytest.raises(UserError, match="task is neither a number nor text"):
        read_scores(tmp_path / "s.h5", VA)
