"""The config file: only fills in what was not given, and refuses what it does not know."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from abaw_submit.cli import cli
from abaw_submit.cli.common import Command, task_option
from abaw_submit.config import read_toml
from abaw_submit.errors import UserError
from abaw_submit.workflow.settings import load_run

ROOT = Path(__file__).parents[1]


@click.command("train", cls=Command)
@task_option
@click.option("--epochs", default=1)
@click.option("--lr", default=0.1)
@click.option("--precision", type=click.Choice(["no", "fp16"]), default="no")
@click.option("--augment/--no-augment", default=True)
@click.option("--features", multiple=True)
def train(task, epochs, **_):
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
    assert run(["--task", "VA", "--epochs", "7"], config, tmp_path).output == "VA 7\n"


def test_the_task_may_stand_before_or_after_the_config_or_in_it(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text('[train]\ntask = "va"\nepochs = 2\n[train.va]\nepochs = 5\n')
    runner = CliRunner()
    for args in (["-c", str(path), "--task", "VA"], ["--task", "va", f"-c{path}"], [f"--config={path}"]):
        assert runner.invoke(train, args).output == "VA 5\n", args
    assert runner.invoke(train, [], env={"ABAW_CONFIG": str(path)}).output == "VA 5\n"


def test_a_config_that_is_not_there_is_an_error(tmp_path):
    for args, env in (
        (["-cnosuch.toml"], {}),
        (["--config=nosuch.toml"], {}),
        ([], {"ABAW_CONFIG": "nosuch.toml"}),
    ):
        result = CliRunner().invoke(train, ["--task", "va", *args], env=env)
        assert result.exit_code == 2
        assert "nosuch.toml" in result.output


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ("[train]\nepoch = 2\n", 'unknown key "epoch" in [train]. Did you mean "epochs"?'),
        ("[train.au]\nepoch = 2\n", 'unknown key "epoch" in [train.au]'),
        ("[train.vb]\nepochs = 2\n", 'unknown part "[train.vb]". Available: au, expr, va.'),
        ("epochs = 2\n", 'unknown section "[epochs]"'),
        ("[train]\nepochs = 2.7\n", "epochs = 2.7: expected a whole number, found a fraction"),
        ("[train]\nepochs = true\n", "epochs = true: expected a whole number, found true or false"),
        ("[train]\nlr = true\n", "lr = true: expected a number, found true or false"),
        ('[train.va]\nlr = "1"\n', '[train.va] lr = "1": expected a number, found text'),
        ("[train]\naugment = 1\n", "augment = 1: expected true or false, found a whole number"),
        ("[train]\nprecision = 16\n", "precision = 16: expected text in quotes, found a whole number"),
        ('[train]\nprecision = "fp8"\n', "[train] precision = \"fp8\": 'fp8' is not one of"),
        ('[train]\nfeatures = "a"\n', 'features = "a": expected a list, found text'),
        ("[trian]\nepochs = 2\n", 'unknown section "[trian]". Did you mean "train"?'),
        ("[train\n", "not valid TOML"),
    ],
)
def test_mistakes_are_named_with_a_suggestion(tmp_path, config, expected):
    error = run(["--task", "va"], config, tmp_path).exception
    assert isinstance(error, UserError)
    assert expected in str(error)


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.toml")), ids=lambda p: p.name)
def test_every_shipped_config_loads_and_each_key_is_an_option(path, monkeypatch):
    monkeypatch.setenv("ABAW_SHARED", "shared")
    load_run(path)
    for section, values in read_toml(path).items():
        if section == "run":
            continue
        command = cli.get_command(click.Context(cli), section.replace("_", "-"))
        with command.make_context(command.name, ["-c", str(path)], resilient_parsing=True) as context:
            assert context.command is command
        for part in [values, *(v for v in values.values() if isinstance(v, dict))]:
            assert {k for k, v in part.items() if not isinstance(v, dict)} <= {p.name for p in command.params}
