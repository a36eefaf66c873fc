"""The config file: only fills in what was not given, and refuses what it does not know."""

import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from abaw_submit.cli import COMMANDS, cli
from abaw_submit.cli.common import Command, task_option
from abaw_submit.config import command_defaults, load_run, make_variables, read_toml
from abaw_submit.errors import UserError

ROOT = Path(__file__).parents[1]


@click.command("train", cls=Command)
@task_option
@click.option("--epochs", default=1)
def train(task, epochs):
    click.echo(f"{task.name} {epochs}")


def run(args, config, tmp_path, env=None):
    (tmp_path / "c.toml").write_text(config)
    runner = CliRunner(env=env)
    return runner.invoke(train, [*args, "-c", str(tmp_path / "c.toml")], auto_envvar_prefix="ABAW_TRAIN")


def test_command_line_beats_environment_beats_config_beats_default(tmp_path):
    config = "[train]\nepochs = 2\n"
    assert run(["--task", "va"], "", tmp_path).output == "VA 1\n"
    assert run(["--task", "va"], config, tmp_path).output == "VA 2\n"
    assert run(["--task", "va"], config, tmp_path, {"ABAW_TRAIN_EPOCHS": "3"}).output == "VA 3\n"
    assert run(["--task", "va", "--epochs", "4"], config, tmp_path).output == "VA 4\n"


def test_a_task_has_its_own_part_of_a_section(tmp_path):
    config = "[train]\nepochs = 2\n[train.va]\nepochs = 5\n"
    assert run(["--task", "VA"], config, tmp_path).output == "VA 5\n"
    assert run(["--task=AU"], config, tmp_path).output == "AU 2\n"


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ("[train]\nepoch = 2\n", 'unknown key "epoch" in [train]. Did you mean "epochs"?'),
        ("[train.au]\nepoch = 2\n", 'unknown key "epoch" in [train]'),
        ("[trian]\nepochs = 2\n", 'unknown section "[trian]". Did you mean "train"?'),
        ("[train\n", "not valid TOML"),
    ],
)
def test_mistakes_are_named_with_a_suggestion(tmp_path, config, expected):
    error = run(["--task", "va"], config, tmp_path).exception
    assert isinstance(error, UserError)
    assert expected in str(error)


def test_the_run_section_is_typed(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text('[run]\nfolds = "three"\n')
    with pytest.raises(UserError, match="expected int, found str"):
        load_run(path)
    path.write_text("[run]\nfold = 3\n")
    with pytest.raises(UserError, match='Did you mean "folds"'):
        load_run(path)


def test_make_variables_carry_spaces_and_leave_unset_environment_empty(tmp_path, monkeypatch):
    path = tmp_path / "c.toml"
    path.write_text('[run]\naudio_va = "hubert vggish"\nvideos = "$ABAW_NOT_SET/videos"\n')
    monkeypatch.delenv("ABAW_NOT_SET", raising=False)
    words = make_variables(path).split(" ")
    assert "CFG_audio_va:=hubert|vggish" in words
    assert "CFG_videos:=" in words


def test_make_can_ask_without_anything_installed():
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from abaw_submit.config import make_variables\n"
        f"print(make_variables({str(ROOT / 'configs/demo.toml')!r}))"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True)
    assert "CFG_name:=demo" in done.stdout, done.stderr


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.toml")), ids=lambda p: p.name)
def test_every_shipped_config_loads_and_each_key_is_an_option(path):
    load_run(path)
    for section, values in read_toml(path).items():
        if section == "run":
            continue
        name = section.replace("_", "-")
        command = cli.get_command(click.Context(cli), name)
        known = [p.name for p in command.params]
        variants = [k for k, v in values.items() if isinstance(v, dict)]
        command_defaults(path, name, known, variants, sections=[*COMMANDS, "run"])


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_prints_help_and_the_plan():
    help_text = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True).stdout
    assert "submission" in help_text
    plan = subprocess.run(["make", "-n", "submission"], cwd=ROOT, capture_output=True, text=True)
    assert plan.returncode == 0, plan.stderr
    refused = subprocess.run(
        ["make", "-n", "submission", "CONFIG=nosuch.toml"], cwd=ROOT, capture_output=True, text=True
    )
    assert refused.returncode == 2
    assert "nosuch.toml" in refused.stderr
    assert all(module for module, _, _ in COMMANDS.values())
