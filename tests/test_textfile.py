"""Texts that are not UTF-8, not JSON, nested without end or not a regular file: one message each."""

import os

import pytest

from abaw_submit.config import read_toml
from abaw_submit.corpus.ledger import read_ledger
from abaw_submit.errors import UserError
from abaw_submit.faces.openface import read_openface
from abaw_submit.faces.overrides import read_overrides
from abaw_submit.postprocess.recipe import read_recipe
from abaw_submit.submission.pack import read_sidecar
from abaw_submit.training.folds import read_splits

DEEP = b"[" * 200_000
DATA = [b"\xff\xfeabc", b'{"a": \xff}', b"a = " + DEEP, DEEP, b"\x00" * 50, b"null", b""]
READERS = [
    ("splits.json", read_splits),
    ("recipe.json", read_recipe),
    ("config.toml", read_toml),
    ("ledger.csv", read_ledger),
    ("overrides.txt", read_overrides),
    ("openface.csv", read_openface),
]


@pytest.mark.parametrize(("name", "read"), READERS)
@pytest.mark.parametrize(
    "data", [b"\xff\xfeabc", b'{"a": \xff}', b"a = " + DEEP, DEEP, b"\x00" * 50, b"null", b""]
)
def test_a_text_that_cannot_be_read(tmp_path, name, read, data):
    path = tmp_path / name
    path.write_bytes(data)
    if data in (b"", b"null") and name in ("config.toml", "overrides.txt"):
        data = b"\xff"
        path.write_bytes(data)
    with pytest.raises(UserError) as told:
        read(path)
    assert len(str(told.value).splitlines()) <= 3
    assert len(str(told.value)) < 2000


@pytest.mark.parametrize(("name", "read"), READERS)
def test_a_pipe_is_not_waited_for(tmp_path, name, read):
    if name == "config.toml":
        pytest.skip("Click refuses it before it is read")
    os.mkfifo(tmp_path / name)
    with pytest.raises(UserError):
        read(tmp_path / name)


@pytest.mark.parametrize(
    "change",
    [
        {"columns": 3},
        {"columns": {"valence": {"weights": "abc"}}},
        {"members": 7},
        {"steps": None},
        {"min_run_rows": "x"},
        {"rate_hz": []},
        {"task": ["VA"]},
        {"restore": {}},
    ],
)
def test_a_recipe_of_the_wrong_types(tmp_path, change):
    import json

    from abaw_submit.postprocess.recipe import identity_recipe, write_recipe

    write_recipe(tmp_path / "recipe.json", identity_recipe("VA", ["a", "b"]))
    data = json.loads((tmp_path / "recipe.json").read_text())
    (tmp_path / "recipe.json").write_text(json.dumps({**data, **change}))
    with pytest.raises(UserError):
        read_recipe(tmp_path / "recipe.json")


def test_a_sidecar_that_is_none(tmp_path):
    (tmp_path / "s.zip").write_bytes(b"")
    (tmp_path / "s.zip.json").write_text("[1]")
    with pytest.raises(UserError, match="does not describe a zip"):
        read_sidecar(tmp_path / "s.zip")
