"""The help: every command in one group, what must be given first."""

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
        shown = CliRunner().invoke(cli, [name, "-h"]).output
        options = [p for p in command.params if isinstance(p, click.Option) and p.name != "config"]
        places = {p.required: [] for p in options}
        for p in options:
            places[p.required].append(shown.index(f"  {p.opts[0]}"))
        if len(places) == 2:
            assert max(places[True]) < min(places[False]), name
