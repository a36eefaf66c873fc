"""A small torture with every run of the tests: processes killed, stopped, doubled; disks; damaged files."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[1] / "bench" / "torture.py"


@pytest.mark.skipif(not BENCH.is_file(), reason="the package is tested without its bench")
def test_a_small_torture_finds_nothing_wrong(tmp_path):
    page = tmp_path / "reliability.md"
    command = [sys.executable, BENCH, "--small", "--seed", "1", "--out", page]
    ended = subprocess.run(command, capture_output=True, text=True)
    told = [line for line in ended.stdout.splitlines() if not line.endswith(" 0 wrong")]
    assert ended.returncode == 0, "\n".join(told) + ended.stderr[-1000:]
    text = page.read_text()
    assert "Wrong: 0." in text
    for line in ("split killed | 3 |", "import-scores started twice", "damaged: features", "load: pack"):
        assert line in text
