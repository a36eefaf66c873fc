"""Small files that unpack to a lot: every reader that unpacks refuses them first; honest ones pass."""

import io
import pickle
import subprocess
import sys
import zipfile

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from abaw_submit import allowance, hdf5
from abaw_submit.allowance import Allowance
from abaw_submit.errors import UserError
from abaw_submit.models.weights.read import read_weights
from abaw_submit.scores.files import Scores, read_scores, write_scores
from abaw_submit.scores.sniff import arrays
from abaw_submit.scores.sniff.table import Options
from abaw_submit.scores.sniff.understand import understand
from abaw_submit.tasks import VA

ROWS = 1 << 20
ZEROS = np.zeros((ROWS, 2), np.float32)  # 8 MiB, which shrink to some KiB


@pytest.fixture(autouse=True)
def little(monkeypatch):
    """Allow 1 MiB in place of 256, so that the traps need not be large."""
    for module in (allowance, hdf5):
        monkeypatch.setattr(module, "FREE_BYTES", 1 << 20)


def understood(path):
    return understand(path, VA, Options())


def npz(path, values):
    np.savez_compressed(path, scores=values)
    return understood


def matlab(path, values):
    savemat(path, {"scores": values}, do_compression=True)
    return understood


def excel(path, values):
    """As Excel packs a sheet; what reads it need not be there for it to be refused."""
    rows = "<row><c><v>0</v></c><c><v>0</v></c></row>" * len(values)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", f"<sheetData>{rows}</sheetData>")
    return understood


def own_hdf5(path, values):
    with h5py.File(path, "w") as file:
        file.attrs["task"], file.attrs["columns"] = "VA", ["valence", "arousal"]
        file.create_dataset("102", data=values, compression="gzip")
    return lambda p: read_scores(p, "VA")


def torch_zip(path, values):
    import torch

    whole = io.BytesIO()
    torch.save({"model": {"w": torch.from_numpy(values)}}, whole)
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    return read_weights


TRAPS = {"x.npz": npz, "x.mat": matlab, "x.xlsx": excel, "x.h5": own_hdf5, "x.pth": torch_zip}


@pytest.mark.parametrize("name", TRAPS)
def test_a_trap_is_refused(tmp_path, name):
    path = tmp_path / name
    read = TRAPS[name](path, ZEROS)
    assert path.stat().st_size < 1 << 19
    with pytest.raises(UserError, match=r"unpacks to|or a trap"):
        read(path)


@pytest.mark.parametrize("name", sorted({*TRAPS} - {"x.xlsx"}))
def test_an_honest_file_of_the_same_kind_is_read(tmp_path, name):
    values = np.random.default_rng(0).uniform(-1, 1, (50, 2)).astype(np.float32)
    path = tmp_path / name
    found = TRAPS[name](path, values)(path)
    if name != "x.pth":
        np.testing.assert_allclose(next(iter(found.tracks.values())), values, atol=1e-6)


def test_the_parts_of_a_matlab_file_are_counted_together_and_bit_by_bit(tmp_path, monkeypatch):
    """No part is too large alone; and the first refusal comes before the last part is unpacked."""
    path = tmp_path / "x.mat"
    part = np.zeros((40_000, 2), np.float32)  # 0.3 MiB
    savemat(path, {f"t{k}": part for k in range(10)}, do_compression=True)
    taken = []

    class Counting(Allowance):
        def take(self, claimed, stored, where, compressed=True):
            taken.append(claimed)
            super().take(claimed, stored, where, compressed)

    monkeypatch.setattr(arrays, "Allowance", Counting)
    with pytest.raises(UserError, match="unpacks to"):
        understood(path)
    assert sum(taken) < 2 << 20
    assert max(taken) <= arrays._MAT_STEP


def test_a_matlab_file_that_claims_gigabytes_takes_no_memory_for_them(tmp_path):
    path = tmp_path / "x.mat"
    savemat(path, {"scores": np.zeros((500, 2))}, do_compression=True)
    whole = bytearray(path.read_bytes())
    whole[132:136] = (0xFFFFFFF0).to_bytes(4, "little")  # the bytes of the first element
    path.write_bytes(whole)
    code = (
        "import resource, sys; from pathlib import Path; from abaw_submit.scores.sniff.arrays import _matlab"
    )
    code += "\nresource.setrlimit(resource.RLIMIT_DATA, (1 << 30, 1 << 30))"
    code += f"\ntry: _matlab(Path({str(path)!r}))\nexcept Exception as error: print(type(error).__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() in ("UserError", ""), done.stderr


def test_a_matlab_file_cut_short_is_its_readers_matter(tmp_path):
    path = tmp_path / "x.mat"
    savemat(path, {"t102": np.zeros((500, 2))}, do_compression=True)
    whole = path.read_bytes()
    for cut in (130, 140, len(whole) // 2, len(whole) - 3):
        path.write_bytes(whole[:cut])
        with pytest.raises(UserError, match="MATLAB"):
            understood(path)


def test_a_pickle_takes_no_more_than_its_size(tmp_path):
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps({"scores": np.zeros((50, 2), np.float32)}))
    assert len(understood(path).tracks["x"]) == 50


def test_larger_files_are_allowed_eight_times_their_size(tmp_path):
    path = tmp_path / "large"
    path.write_bytes(bytes(1 << 20))
    assert Allowance(path).left == 8 << 20
    write_scores(tmp_path / "s.h5", Scores(VA, {"102": ZEROS}))
    assert read_scores(tmp_path / "s.h5", "VA").rows == ROWS
