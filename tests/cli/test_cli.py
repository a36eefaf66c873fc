"""Every command: help with an example, nothing heavy imported for it, mistakes without tracebacks."""

import re
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from abaw_submit.cli import COMMANDS, cli

HEAVY = {
    "torch",
    "numpy",
    "pandas",
    "cv2",
    "scipy",
    "h5py",
    "vl_convert",
    "av",
    "sklearn",
    "transformers",
    "timm",
}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name):
    for flag in ("-h", "--help"):
        result = CliRunner().invoke(cli, [name, flag])
        assert result.exit_code == 0, result.output
    assert f"abaw-submit {name}" in result.output.split("Example", 1)[1]
    command = cli.get_command(click.Context(cli), name)
    for param in command.params:
        if isinstance(param, click.Option) and param.name != "help":
            assert param.help, f"{name}: {param.opts[0]} has no help text"


def test_help_of_every_command_imports_nothing_heavy():
    code = (
        "import sys\nfrom click.testing import CliRunner\nfrom abaw_submit.cli import COMMANDS, cli\n"
        "for n in COMMANDS: assert CliRunner().invoke(cli, [n, '-h']).exit_code == 0, n\n"
        f"print(sorted({HEAVY!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stdout + done.stderr


def command_line(*args):
    return subprocess.run([sys.executable, "-m", "abaw_submit", *args], capture_output=True, text=True)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["chekc"], 'Did you mean "check"?'),
        (["metrics", "--task", "XX"], "Available: AU, EXPR, VA."),
        (["crop", "/nonexistent/videos", "--out", "x"], "/nonexistent/videos"),
        (["status", "--config", "nosuch.toml"], "nosuch.toml"),
    ],
)
def test_mistakes_exit_2_in_a_few_lines(args, says):
    done = command_line(*args)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_doctor_finds_this_environment_fit():
    done = command_line("doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"ok +packages: (\d+) of \1 installed", done.stdout)
