"""Zips: the same bytes each time, checked, and traceable to what they were made of."""

import json
import os
import zipfile

import pytest

from abaw_submit.errors import ProblemsFound, UserError
from abaw_submit.store import record_path, sha256_file
from abaw_submit.submission.expected import expected_rows
from abaw_submit.submission.format import format_files
from abaw_submit.submission.pack import pack, read_sidecar


@pytest.fixture
def submission(tmp_path, golden, score_file):
    """A formatted VA file and its template."""
    template = golden / "edition_6/VA_sample.txt"
    format_files("VA", [score_file("VA")], tmp_path / "va.txt", template)
    return tmp_path / "va.txt", template


def test_the_same_files_give_the_same_bytes(submission, tmp_path):
    path, template = submission
    asked = expected_rows("VA", template)
    first = pack([path], tmp_path / "one.zip", "VA", asked)
    os.utime(path, (0, 0))  # dates of files do not matter
    pack([path], tmp_path / "two.zip", "VA", asked)
    assert first.ok
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert archive.namelist() == ["va.txt"]
        assert archive.read("va.txt") == path.read_bytes()
        assert archive.infolist()[0].date_time == (1980, 1, 1, 0, 0, 0)


def test_a_folder_is_packed_in_name_order_without_its_record(tmp_path, golden, score_file):
    format_files("EXPR", [score_file("EXPR")], tmp_path / "expr", tracks=golden / "tracks.txt")
    assert (tmp_path / "expr/record.json").is_file()
    asked = expected_rows("EXPR", tracks=golden / "tracks.txt")
    pack([tmp_path / "expr"], tmp_path / "a.zip", "EXPR", asked)
    files = sorted((tmp_path / "expr").glob("*.txt"), reverse=True)
    pack(files, tmp_path / "b.zip", "EXPR", asked)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.namelist() == ["10-60-1280x720_right.txt", "video45_1.txt"]


def test_the_sidecar_says_where_everything_came_from(submission, tmp_path):
    path, template = submission
    pack([path], tmp_path / "s.zip", "VA", expected_rows("VA", template), rows_source=template)
    told = read_sidecar(tmp_path / "s.zip")
    assert told["sha256"] == sha256_file(tmp_path / "s.zip")
    assert (told["task"], told["rows"], told["dialect"]) == ("VA", 5, "single file")
    (file,) = told["files"]
    assert (file["name"], file["sha256"]) == ("va.txt", sha256_file(path))
    assert file["from"]["stage"] == "format"
    assert [entry["identity"] for entry in file["from"]["inputs"]] == [
        sha256_file(tmp_path / "VA.h5"),
        sha256_file(template),
    ]
    assert told["checked_against"]["identity"] == sha256_file(template)


def change(path, text):
    """A change that is wanted: the file is then nobody's but the user's."""
    path.write_text(text)
    record_path(path).unlink()


def test_a_file_changed_on_purpose_has_no_provenance(submission, tmp_path):
    path, template = submission
    change(path, path.read_text().replace("0.500000", "0.600000"))
    pack([path], tmp_path / "s.zip", "VA", expected_rows("VA", template))
    assert "stage" not in read_sidecar(tmp_path / "s.zip")["files"][0]["from"]


def test_a_zip_that_was_changed_is_not_the_one_described(submission, tmp_path):
    path, template = submission
    pack([path], tmp_path / "s.zip", "VA", expected_rows("VA", template))
    with zipfile.ZipFile(tmp_path / "s.zip", "a") as archive:
        archive.writestr("more.txt", "")
    with pytest.raises(UserError, match=r"is not the zip that s.zip.json describes"):
        read_sidecar(tmp_path / "s.zip")
    with pytest.raises(UserError, match=r"has no other.zip.json"):
        read_sidecar(tmp_path / "other.zip")


@pytest.mark.parametrize("known", [True, False])
def test_what_fails_the_check_is_not_packed(submission, tmp_path, known):
    path, template = submission
    pack([path], tmp_path / "s.zip", "VA")
    before = (tmp_path / "s.zip").read_bytes()
    change(path, path.read_text().replace("0.500000", "1.500000"))
    with pytest.raises(ProblemsFound, match=r"Not packed.*range \(1\), first va.txt, line 4: valence is"):
        pack([path], tmp_path / "s.zip", "VA", expected_rows("VA", template) if known else None)
    assert (tmp_path / "s.zip").read_bytes() == before


def test_an_incomplete_file_is_not_packed(submission, tmp_path):
    path, template = submission
    change(path, "".join(path.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(ProblemsFound, match="missing row"):
        pack([path], tmp_path / "s.zip", "VA", expected_rows("VA", template))
    assert not (tmp_path / "s.zip").exists()
    assert not (tmp_path / "s.zip.json").exists()


def test_packed_once_and_again_when_a_file_changes(submission, tmp_path):
    path, template = submission
    asked = expected_rows("VA", template)
    pack([path], tmp_path / "s.zip", "VA", asked)
    stamp = (tmp_path / "s.zip").stat().st_mtime_ns
    pack([path], tmp_path / "s.zip", "VA", asked)
    assert (tmp_path / "s.zip").stat().st_mtime_ns == stamp
    change(path, path.read_text().replace("0.500000", "0.400000"))
    pack([path], tmp_path / "s.zip", "VA", asked)
    with zipfile.ZipFile(tmp_path / "s.zip") as archive:
        assert b"0.400000" in archive.read("va.txt")


def test_odd_inputs_are_refused(submission, tmp_path):
    path, _ = submission
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(UserError, match=r"is empty; expected <track>.txt files only"):
        pack([other], tmp_path / "s.zip", "VA")
    (other / "va.txt").write_bytes(path.read_bytes())
    with pytest.raises(UserError, match=r"Two files named va.txt"):
        pack([path, other], tmp_path / "s.zip", "VA")
    (other / "readme.md").write_text("")
    with pytest.raises(UserError, match=r"holds readme.md"):
        pack([other], tmp_path / "s.zip", "VA")
    with pytest.raises(UserError, match="No file"):
        pack([tmp_path / "none.txt"], tmp_path / "s.zip", "VA")
    with pytest.raises(UserError, match=r"does not end in \.zip"):
        pack([path], tmp_path / "s.tar", "VA")


def test_the_sidecar_is_the_same_each_time(submission, tmp_path):
    path, template = submission
    for name in ("a", "b"):
        pack([path], tmp_path / name / "s.zip", "VA", expected_rows("VA", template))
    one, two = ((tmp_path / name / "s.zip.json").read_bytes() for name in ("a", "b"))
    assert one == two
    assert json.loads(one)["warnings"] == []
