"""The reference page of all commands, made from their own help.

`python -m abaw_submit.cli.reference > docs/reference/commands.md`; a test holds the two together.
"""

from __future__ import annotations

import click

from abaw_submit.cli import COMMANDS, cli


def reference() -> str:
    """The page as Markdown: every command's help, in the order of the work."""
    parts = [
        "# Commands",
        "",
        "Made from `--help` by `python -m abaw_submit.cli.reference`. Every option can also be set by",
        "`-c CONFIG` (the section named like the command) or by `ABAW_<COMMAND>_<OPTION>`.",
    ]
    # as `cli.main` makes it, which also passes on -h to every command
    parent = click.Context(cli, info_name="abaw-submit", **cli.context_settings)
    for name in COMMANDS:
        command = cli.get_command(parent, name)
        if command is None:
            continue
        context = click.Context(
            command, info_name=name, parent=parent, terminal_width=100, max_content_width=100
        )
        context.show_default = True
        parts += ["", f"## {name}", "", "```", command.get_help(context), "```"]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    print(reference(), end="")
