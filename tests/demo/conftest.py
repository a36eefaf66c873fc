"""One tiny corpus for all tests that only read it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from abaw_submit.cli import cli
from abaw_submit.demo.corpus import write_corpus


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo") / "corpus"
    assert write_corpus(out, seed=0, size="tiny", jobs=1)
    return out


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same by the command, with another seed and two workers."""
    out = tmp_path_factory.mktemp("demo") / "other"
    result = CliRunner().invoke(cli, ["demo-data", str(out), "--size", "tiny", "--seed", "1", "--jobs", "2"])
    assert result.exit_code == 0, result.output
    assert f"{out}: 7 videos, 8 tracks, 304 rows, 48 stills" in result.output
    assert "already" not in result.output
    return out
