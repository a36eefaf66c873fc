"""The help: every command in one group, what must be given first."""

import re
import subprocess
import sys

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


def test_h_works_whoever_looked_at_the_command_first():
    """Click keeps the help option of a command's first context, which may know nothing of the group."""
    code = (
        "import click\nfrom click.testing import CliRunner\nfrom abaw_submit.cli import COMMANDS, cli\n"
        "for n in COMMANDS:\n"
        "    cli.get_command(click.Context(cli), n).make_context(n, [], resilient_parsing=True)\n"
        "    assert CliRunner().invoke(cli, [n, '-h']).exit_code == 0, n\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
