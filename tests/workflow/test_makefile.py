"""The Makefile: each target is one call, with its values whole, whatever is in them."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import abaw_submit
from abaw_submit.workflow.units import TARGETS

ROOT = Path(abaw_submit.__file__).parents[1]
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@pytest.fixture
def make(tmp_path):
    """make in a folder whose abaw-submit only writes down what it is given."""
    folder = tmp_path / "clone ü"
    (folder / ".venv/bin").mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder / name)
    stub = folder / ".venv/bin/abaw-submit"
    stub.write_text(
        f"#!{sys.executable}\nimport json, sys\n"
        f"open({str(folder / 'calls')!r}, 'a').write(json.dumps(sys.argv[1:]) + '\\n')\n"
    )
    stub.chmod(0o755)
    (folder / ".venv/.ready").touch()

    def call(*words):
        (folder / "calls").write_text("")
        done = subprocess.run(["make", *words], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in (folder / "calls").read_text().splitlines()], done.stdout

    return call


def test_make_alone_prints_help(make):
    calls, text = make()
    assert calls == []
    for target in [*TARGETS, "demo", "setup", "check", "status", "test", "bench", "torture", "clean"]:
        assert f"\n  {target} " in text, target


def test_values_with_spaces_and_quotes_arrive_whole(make):
    calls, _ = make(
        "submission", "CONFIG=my run.toml", "VIDEOS=/data/it's ü", "TASK=AU VA", "FOLDS=4", "JOBS=2"
    )
    assert calls == [
        [
            *["run", "submission", "-c", "my run.toml", "--task", "AU VA", "--folds", "4"],
            *["--videos", "/data/it's ü", "--jobs", "2"],
        ]
    ]


def test_what_stands_in_the_environment_is_not_taken_for_an_option(make, monkeypatch):
    for name in ("RUN", "TASK", "JOBS", "FOLDS", "VIDEOS", "PROFILE"):
        monkeypatch.setenv(name, "from elsewhere")
    assert make("crop")[0] == [["run", "crop", "-c", "configs/demo.toml"]]


def test_make_n_asks_for_the_plan(make):
    assert make("-n", "report", "FOLDS=3")[0] == [
        ["run", "report", "-c", "configs/demo.toml", "--folds", "3", "--dry-run"]
    ]
    assert make("report", "FOLDS=nine")[0][0][-1] == "nine"


def test_an_empty_name_is_handed_on_to_be_refused(make):
    assert make("clean", "RUN=")[0] == [["clean", "-c", "configs/demo.toml", "--run", ""]]


def test_the_makefile_stays_thin():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert len(text.splitlines()) < 80
    assert "eval" not in text
    assert "rm -" not in text
