"""Exit codes of real processes: what a shell, make or a scheduler sees. `CliRunner` cannot show them."""

import subprocess
import sys

import pytest

HEADER = "image_location,valence,arousal\n"


def run(*arguments, **more):
    command = [sys.executable, "-m", "abaw_submit", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **more)


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "a b ü"
    place.mkdir()
    (place / "template.txt").write_text(HEADER + "v/00001.jpg,\nv/00002.jpg,\n")
    (place / "good.txt").write_text(HEADER + "v/00001.jpg,0.5,0\nv/00002.jpg,-0.25,1\n")
    (place / "broken.txt").write_text(HEADER + "v/00001.jpg,7,0\n")
    return place


@pytest.mark.parametrize(("file", "code"), [("good.txt", 0), ("broken.txt", 1), ("nowhere.txt", 2)])
def test_check(folder, file, code):
    done = run("check", folder / file, "--task", "VA", "--template", folder / "template.txt")
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_broken_file_is_not_packed(folder):
    out = folder / "VA.zip"
    done = run(
        "pack", folder / "broken.txt", "--task", "VA", "--template", folder / "template.txt", "--out", out
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert not out.exists()


@pytest.mark.parametrize(
    "arguments", [["chekc"], ["check"], ["check", "x", "--task", "XX"], ["status", "--nope"]]
)
def test_wrong_usage(arguments):
    assert run(*arguments).returncode == 2


def test_help_and_version():
    assert run("-h").returncode == 0
    assert run("--version").returncode == 0
