"""Progress on a terminal and in a log."""

import io
import sys

import pytest

from abaw_submit.cli.progress import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_gets_a_bar_with_the_note(monkeypatch):
    out = Terminal()
    monkeypatch.setattr(sys, "stderr", out)
    clock = iter(range(1000))
    monkeypatch.setattr("tqdm.std.time", lambda: float(next(clock)))  # a second between any two looks
    assert list(progress(range(3), label="train", note=lambda: "loss 0.5, validation 0.4")) == [0, 1, 2]
    assert "train" in out.getvalue()
    assert "loss 0.5, validation 0.4" in out.getvalue()


def test_a_log_gets_a_line_a_minute_with_the_time_left(monkeypatch, capsys):
    clock = iter(range(0, 1000, 40))
    monkeypatch.setattr("time.monotonic", lambda: float(next(clock)))
    assert list(progress(iter("abcdef"), 6, "crop", lambda: "fine")) == list("abcdef")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "crop: 2 of 6, about 3 min left; fine"
    assert len(lines) == 3


@pytest.mark.parametrize("total", [None, 5])
def test_items_without_a_length_pass_through(total):
    assert list(progress(iter(range(5)), total)) == [0, 1, 2, 3, 4]
