"""`abaw-submit demo-data`."""

from __future__ import annotations

import shutil
from pathlib import Path

from click.testing import CliRunner

from abaw_submit.cli import cli
from abaw_submit.store import read_record


def test_a_second_run_does_nothing_and_says_so(tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "corpus"
    shutil.copytree(tiny, out)
    result = CliRunner().invoke(cli, ["demo-data", str(out), "--size", "tiny", "--jobs", "1"])
    assert result.exit_code == 0, result.output
    assert "7 videos, 8 tracks, 304 rows, 48 stills (already there, nothing to do)" in result.output


def test_it_writes_a_corpus_and_its_record(other: Path) -> None:
    record = read_record(other)
    assert record is not None
    assert record["settings"]["seed"] == 1
    assert record["failures"] == []
    assert len(list((other / "faces").glob("*.jpg"))) == 48
    assert not list(other.rglob(".*"))  # nothing temporary is left


def test_an_unknown_size_is_wrong_usage(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["demo-data", str(tmp_path / "x"), "--size", "huge"])
    assert result.exit_code == 2
    assert "tiny" in result.output
