"""Streams that are closed, full or read by nobody, and environments that lack something: true exit codes, no
traceback, and no file that a stray word got into."""

import os
import subprocess
import sys

import pytest

from abaw_submit.cli.entry import words_of

ROWS = 9_000


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A template of one track, scores for it, the file they give, and one that is wrong all over."""
    folder = tmp_path_factory.mktemp("streams")
    images = [f"102/{k:05d}.jpg" for k in range(1, ROWS + 1)]
    head = "image_location,valence,arousal\n"
    (folder / "template.txt").write_text(head + "".join(f"{image},,\n" for image in images))
    (folder / "good.txt").write_text(head + "".join(f"{image},0.500000,-0.250000\n" for image in images))
    (folder / "bad.txt").write_text(head + "".join(f"{image},x,y\n" for image in images))
    (folder / "scores").mkdir()
    (folder / "scores" / "102.txt").write_text("valence,arousal\n" + "0.5,-0.25\n" * ROWS)
    return folder


def shell(folder, line, **environment):
    """A line of bash in which $A is the program; what it printed and its exit code."""
    environment = {**os.environ, "A": f"{sys.executable} -m abaw_submit", **environment}
    line = f"set -o pipefail; {line}"
    done = subprocess.run(["bash", "-c", line], cwd=folder, env=environment, capture_output=True, text=True)
    assert "Traceback" not in done.stderr + done.stdout
    assert "should not have happened" not in done.stderr
    assert "Exception ignored" not in done.stderr
    return done


@pytest.mark.parametrize("command", ["extractors", "-h", "check -h", "metrics -h"])
def test_output_that_nobody_reads_is_141_as_of_any_program(corpus, command):
    done = shell(corpus, f"$A {command} | true")
    assert (done.returncode, done.stderr) == (141, "")


def test_the_head_of_a_long_check_can_be_read(corpus):
    done = shell(corpus, "$A check bad.txt --task VA --template template.txt --json | head -c 20")
    assert done.returncode in (1, 141)  # whether it had written all of it before head was gone
    assert len(done.stdout) == 20


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("$A check good.txt --task VA --template template.txt > /dev/full", 2),
        ("$A check good.txt --task VA --template template.txt >&-", 0),
        ("$A check bad.txt --task VA --template template.txt >&-", 1),
        ("$A check none.txt --task VA --template template.txt 2> /dev/full", 2),
        ("$A check none.txt --task VA --template template.txt 2>&-", 2),
        ("$A check good.txt --task VA --template template.txt <&- >&- 2>&-", 0),
    ],
)
def test_the_exit_code_is_true_where_nothing_can_be_said(corpus, line, code):
    assert shell(corpus, line).returncode == code


def test_a_file_does_not_take_the_number_of_a_closed_stream(corpus):
    """What a library prints on number 2 would be written into it."""
    code = """import sys, click, os
from abaw_submit.cli.entry import run
def work():
    with open("opened.txt", "w") as handle:
        os.write(2, b"a library speaks")
        handle.write("ours")
sys.exit(run(click.Command("x", callback=work)))"""
    (corpus / "program.py").write_text(code)
    assert shell(corpus, f"{sys.executable} program.py <&- >&- 2>&-").returncode == 0
    assert (corpus / "opened.txt").read_text() == "ours"


FORMAT = "$A format --task VA --scores scores --template template.txt --out"


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("no home", f"env -u HOME {FORMAT} OUT"),
        ("a home that is no folder", f"HOME=/dev/null {FORMAT} OUT"),
        ("nearly no environment", f"env -i PYTHONPATH=$PYTHONPATH {FORMAT} OUT"),
        ("no folder for temporary files", f"TMPDIR=/nowhere/at/all {FORMAT} OUT"),
        ("a cache that cannot be written", f"XDG_CACHE_HOME=/proc/1 {FORMAT} OUT"),
        ("few open files", f"ulimit -n 24; {FORMAT} OUT"),
        ("streams closed", f"{FORMAT} OUT <&- >&- 2>&-"),
        ("a path with dots", f"cd scores; {FORMAT.replace(' scores', ' ../scores/../scores')} ../OUT"),
    ],
)
def test_the_bytes_are_the_same_in_a_poor_environment(corpus, name, line):
    out = name.replace(" ", "-") + ".txt"
    template = "../template.txt" if "cd scores" in line else "template.txt"
    done = shell(corpus, line.replace("OUT", out).replace("template.txt", template))
    assert done.returncode == 0, done.stderr
    assert (corpus / out).read_bytes() == (corpus / "good.txt").read_bytes()


def test_a_limit_on_the_size_of_files_is_told(corpus):
    done = shell(corpus, f"ulimit -f 16; {FORMAT} limited.txt")
    assert done.returncode == 2
    assert "Files may not be so large here" in done.stderr
    assert not (corpus / "limited.txt").exists()
    assert not list(corpus.glob(".tmp-*"))


def test_a_library_without_room_in_memory_is_no_bug():
    error = ImportError("libtorch_cpu.so: failed to map segment from shared object")
    assert words_of(error).startswith("Out of memory.")


def test_a_file_may_come_by_standard_input_but_a_pipe_may_not(corpus):
    line = "$A check /dev/stdin --task VA --template template.txt"
    assert shell(corpus, f"{line} < good.txt").returncode == 0
    refused = shell(corpus, f"cat good.txt | {line}")
    assert refused.returncode == 2
    assert "not a regular file" in refused.stderr
