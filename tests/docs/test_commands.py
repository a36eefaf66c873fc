"""What the documents tell people to type: it exists, and the first tutorial works as it stands."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from abaw_submit.cli import COMMANDS, cli

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))


def lines_of(page):
    """Lines of the page's blocks of commands, continued ones joined."""
    for _, text in re.findall(r"^```(|bash|sh)\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S):
        yield from text.replace("\\\n", " ").splitlines()


def commands():
    for page in PAGES:
        for line in lines_of(page):
            if line.startswith(("abaw-submit ", "make ")):
                yield pytest.param(line, id=f"{page.name}: {line[:50]}")


@pytest.mark.parametrize("line", list(commands()))
def test_a_command_in_the_documents_exists_with_its_options(line):
    words = shlex.split(line.partition(" # ")[0])
    if words[0] == "make":
        assert {w for w in words[1:] if re.fullmatch("[a-z]+", w)} <= TARGETS, line
        return
    if words[1].startswith("-"):
        return
    assert words[1] in COMMANDS, line
    command = cli.get_command(click.Context(cli), words[1])
    known = {"-h", "--help", *(o for p in command.params for o in (*p.opts, *p.secondary_opts))}
    given = [w.partition("=")[0] for w in words[2:] if re.match(r"--?[a-z]", w)]
    assert set(given) <= known, line


def test_links_between_documents_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:|mailto:|#)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_first_tutorial_works_as_it_stands(tmp_path):
    tool = tmp_path / "bin" / "abaw-submit"
    tool.parent.mkdir()
    tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m abaw_submit "$@"\n')
    tool.chmod(0o755)
    env = {**os.environ, "PATH": f"{tool.parent}{os.pathsep}{os.environ['PATH']}"}
    page = (ROOT / "docs/tutorial/check-a-zip.md").read_text(encoding="utf-8")
    said = []
    for text in re.findall(r"^```bash\n(.*?)^```", page, re.M | re.S):
        for line in text.strip().splitlines():
            wanted = int(m[1]) if (m := re.search(r"# exit (\d)", line)) else 0
            done = subprocess.run(
                line, shell=True, cwd=tmp_path, env=env, capture_output=True, text=True, check=False
            )
            assert done.returncode == wanted, line + done.stdout + done.stderr
            said.append(done.stdout + done.stderr)
    assert (tmp_path / "VA.zip").is_file()
    assert "1.1" in said[-1]
    assert "missing row (1)" in said[-1]
