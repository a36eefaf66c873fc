"""Texts that are not UTF-8, not JSON, nested without end or not a regular file: one message each."""

import os
from dataclasses import dataclass
from typing import Any, TypedDict

import pytest

from abaw_submit.config import read_toml
from abaw_submit.corpus.ledger import read_ledger
from abaw_submit.errors import UserError
from abaw_submit.faces.openface import read_openface
from abaw_submit.faces.overrides import read_overrides
from abaw_submit.postprocess.recipe_json import read_recipe
from abaw_submit.scores.sniff.table import Options
from abaw_submit.scores.sniff.understand import understand
from abaw_submit.submission.pack import read_sidecar
from abaw_submit.tasks import VA
from abaw_submit.textfile import convert, fits, read_json, read_own_json
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

    from abaw_submit.postprocess.recipe import identity_recipe
    from abaw_submit.postprocess.recipe_json import write_recipe

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


@dataclass(frozen=True)
class Point:
    name: str
    x: float
    tags: list[str]


class Note(TypedDict):
    who: str
    counts: dict[str, int]


def test_json_of_a_type(tmp_path):
    (tmp_path / "p.json").write_text('{"name": "a", "x": 3, "tags": ["b"], "later": 1}')
    assert read_json(tmp_path / "p.json", Point) == Point("a", 3.0, ["b"])


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"name": "a", "x": "3", "tags": []}, "Expected float, got str - at $.x"),
        ({"name": "a", "x": 3, "tags": ["b", 2]}, "Expected str, got int - at $.tags[1]"),
        ({"name": "a", "x": True, "tags": []}, "Expected float, got bool - at $.x"),
        ({"x": 3, "tags": []}, "missing required field name"),
        ([], "Expected object, got array"),
    ],
)
def test_a_value_of_another_type_is_named(value, words):
    with pytest.raises(UserError) as told:
        convert(value, Point, "p.json")
    assert str(told.value).startswith("p.json: ")
    assert words in str(told.value)


def test_a_note_of_our_own_keeps_more_than_its_type(tmp_path):
    path = tmp_path / "n.json"
    path.write_text('{"who": "a", "counts": {"rows": 3}, "more": [1]}')
    assert read_own_json(path, Note) == {"who": "a", "counts": {"rows": 3}, "more": [1]}


@pytest.mark.parametrize(
    "text", ['{"who": "a"', '{"who": 1, "counts": {}}', '{"who": "a"}', "[]", DEEP.decode(), ""]
)
def test_a_damaged_note_of_our_own_counts_as_none(tmp_path, text):
    (tmp_path / "n.json").write_text(text)
    assert read_own_json(tmp_path / "n.json", Note) is None
    assert read_own_json(tmp_path / "absent.json", Note) is None
    assert not fits({"who": "a", "counts": {"rows": "3"}}, Note)
    assert fits({"who": "a"}, dict[str, Any])


@pytest.mark.parametrize(
    "data",
    [b"[" + b"[]," * 7_000_000 + b"0]", b"[" + b"{}," * 3_500_000 + b"0]", b"[" + b"0," * 18_000_000 + b"0]"],
)
def test_json_that_would_fill_the_memory_is_refused_before_it_is_built(tmp_path, data):
    path = tmp_path / "large.json"
    path.write_bytes(data)
    for read in (read_json, lambda p: understand(p, VA, Options())):
        with pytest.raises(UserError, match="MiB of memory"):
            read(path)
    assert read_own_json(path, Any) is None


def test_json_scores_of_half_the_official_rows_are_small_enough(tmp_path):
    from abaw_submit.textfile import refuse_large_json

    rows = "[0.123456,-0.123456]," * 1_500_000
    refuse_large_json(f'{{"102": [{rows}[0,0]]}}', "scores.json")


def test_a_number_of_five_thousand_digits_is_no_toml(tmp_path):
    (tmp_path / "c.toml").write_text(f"[run]\nfolds = {'9' * 5000}\n")
    with pytest.raises(UserError, match="is not valid TOML: Exceeds the limit"):
        read_toml(tmp_path / "c.toml")
