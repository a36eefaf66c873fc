"""Files of torch and of pandas: plain numbers are read, code never is, and a missing package is named."""

import pickle
import zipfile

import numpy as np
import pandas as pd
import pytest

from abaw_submit import allowance
from abaw_submit.errors import UserError
from abaw_submit.scores.sniff import borrowed
from abaw_submit.scores.sniff.table import Options
from abaw_submit.scores.sniff.understand import understand
from abaw_submit.tasks import TASKS

VA = TASKS["VA"]


def refused(path, message):
    with pytest.raises(UserError, match=message) as error:
        understand(path, VA, Options())
    assert str(error.value).count("\n") < 3
    return str(error.value)


@pytest.fixture
def nothing_installed(monkeypatch):
    monkeypatch.setattr(borrowed, "find_spec", lambda name: None)


class Evil:
    """Leaves a mark if it is ever run."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (open, (str(self.mark), "w"))


def test_without_torch_its_files_say_what_to_do(tmp_path, nothing_installed):
    torch = pytest.importorskip("torch")
    torch.save({"102": torch.zeros(5, 2)}, tmp_path / "scores.pt")
    text = refused(tmp_path / "scores.pt", "torch is not installed here")
    assert "numpy.savez" in text


def test_numpy_arrays_in_a_file_of_torch_need_no_torch(tmp_path, nothing_installed):
    torch = pytest.importorskip("torch")
    rows = np.linspace(-1, 1, 10, dtype=np.float32).reshape(5, 2)
    torch.save({"102": rows}, tmp_path / "scores.pt")
    np.testing.assert_array_equal(understand(tmp_path / "scores.pt", VA, Options()).tracks["102"], rows)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_file_of_torch_is_not_run(tmp_path, zipped):
    torch = pytest.importorskip("torch")
    made = {"102": torch.zeros(5, 2), "x": Evil(tmp_path / "mark")}
    torch.save(made, tmp_path / "scores.pt", _use_new_zipfile_serialization=zipped)
    text = refused(tmp_path / "scores.pt", "more than tensors, or is damaged")
    assert "No code in it is run" in text
    assert not (tmp_path / "mark").exists()


def test_tensors_of_bfloat16_and_views_keep_their_numbers(tmp_path):
    torch = pytest.importorskip("torch")
    rows = torch.linspace(-1, 1, 24).reshape(2, 12).T
    torch.save({"102": rows, "8": rows.to(torch.bfloat16)}, tmp_path / "scores.pt")
    found = understand(tmp_path / "scores.pt", VA, Options()).tracks
    np.testing.assert_array_equal(found["102"], rows.numpy())
    np.testing.assert_array_equal(found["8"], rows.to(torch.bfloat16).float().numpy())


def test_a_tensor_that_claims_more_than_the_file_holds_is_refused(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"102": torch.zeros(1, 2).expand(1_000_000_000_000, 2)}, tmp_path / "scores.pt")
    refused(tmp_path / "scores.pt", "claims more numbers than the file holds")


def test_a_cut_file_of_torch_is_damaged(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"102": torch.zeros(500, 2)}, tmp_path / "scores.pt")
    data = (tmp_path / "scores.pt").read_bytes()
    (tmp_path / "scores.pt").write_bytes(data[: len(data) // 2])
    refused(tmp_path / "scores.pt", "unpack or convert|damaged")


@pytest.mark.parametrize("name", ["y.pt", "y.npz", "y.xlsx"])
def test_a_zip_that_unpacks_to_too_much_is_refused_whatever_it_is(tmp_path, monkeypatch, name):
    monkeypatch.setattr(allowance, "FREE_BYTES", 1 << 20)
    inside = {"y.pt": ("y/data.pkl", "y/data/0"), "y.npz": ("102.npy",), "y.xlsx": ("xl/a.xml",)}[name]
    with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive:
        for member in inside:
            archive.writestr(member, bytes(1 << 24))
    refused(tmp_path / name, "more than are allowed")


@pytest.mark.parametrize("kind", ["x.parquet", "x.feather", "x.xlsx"])
def test_without_their_package_tables_say_what_to_install(tmp_path, nothing_installed, kind):
    if kind == "x.xlsx":
        with zipfile.ZipFile(tmp_path / kind, "w") as archive:
            archive.writestr("xl/workbook.xml", "")
    else:
        (tmp_path / kind).write_bytes((b"PAR1" if kind == "x.parquet" else b"ARROW1") + bytes(16))
    package = "openpyxl" if kind == "x.xlsx" else "pyarrow"
    assert f"pip install {package}" in refused(
        tmp_path / kind, f"{package}, which reads it, is not installed"
    )


def test_an_old_pyarrow_which_may_run_code_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setattr(borrowed, "find_spec", lambda name: name)
    old = type("module", (), {"__version__": "13.0.0"})
    monkeypatch.setattr("importlib.import_module", lambda name: old)
    (tmp_path / "x.parquet").write_bytes(b"PAR1" + bytes(16))
    refused(tmp_path / "x.parquet", "pyarrow 13.0.0 may run code")


def test_missing_numbers_of_pandas_become_nan():
    frame = pd.DataFrame({"a": pd.array([1, None, 3], dtype="Int64"), "b": ["x", None, "y"]})
    np.testing.assert_array_equal(borrowed._column(frame["a"]), [1, np.nan, 3])
    assert borrowed._column(frame["b"]).tolist() == ["x", None, "y"]


def test_a_pickled_table_of_pandas_says_how_to_write_it(tmp_path):
    pd.DataFrame({"valence": [0.1], "arousal": [0.2]}).to_pickle(tmp_path / "x.pkl")
    assert "frame.to_csv" in refused(tmp_path / "x.pkl", "a table of pandas, pandas")


def test_pickled_tensors_say_how_to_write_them(tmp_path):
    torch = pytest.importorskip("torch")
    (tmp_path / "x.pkl").write_bytes(pickle.dumps({"102": torch.zeros(5, 2)}))
    assert "torch.save" in refused(tmp_path / "x.pkl", "tensors of torch, torch")
