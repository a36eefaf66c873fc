"""The help: every command in one group, what must be given first."""

import re

import click
from click.testing import CliRunner

from abaw_submit.cli import COMMANDS, GROUPS, cli


def test_every_command_is_in_one_group():
    named = [name for names in GROUPS.values() for name in names]
    assert sorted(named) == sorted(COMMANDS)
    shown = CliRunner().invoke(cli, ["-h"]).output
    assert all(f"\n{title}:" in shown for title in GROUPS)
    assert "\nOther:" not in shown


def test_required_options_come_before_the_others():
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        options = {o: p.required for p in command.params if isinstance(p, click.Option) for o in p.opts}
        listed = CliRunner().invoke(cli, [name, "-h"]).output.partition("\nOptions:\n")[2]
        shown = re.findall(r"^  (?:-\w, )?(--[a-z0-9-]+)", listed, re.M)
        required = [options[o] for o in shown if o in options]
        assert required == sorted(required, reverse=True), name
