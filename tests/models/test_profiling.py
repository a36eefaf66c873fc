"""A profile: a trace that can be opened, a table of the five parts, and nothing where none is asked for."""

import json
import threading
from pathlib import Path

import pytest

from abaw_submit.errors import UserError
from abaw_submit.models import profiling
from abaw_submit.models.profiling import PARTS, part, profile


def test_parts_of_all_threads_are_counted(tmp_path: Path) -> None:
    def work() -> None:
        with part("decoding"):
            pass

    with profile(tmp_path / "some" / "trace.json") as table:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        for _ in range(3):
            with part("computing"):
                pass
    assert [line.split()[0] for line in table] == [*PARTS, "whole"]
    times = {line.split()[0]: line.split()[-2] for line in table[:-1]}
    assert times == {"reading": "0", "decoding": "1", "copying": "0", "computing": "3", "writing": "0"}
    trace = json.loads((tmp_path / "some" / "trace.json").read_text())
    assert sum(event.get("name") == "computing" for event in trace["traceEvents"]) == 3


def test_a_long_run_is_traced_for_a_while_and_counted_to_the_end(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(profiling, "_TRACED_S", 0.0)
    with profile(tmp_path / "trace.json") as table:
        for _ in range(4):
            with part("computing"):
                pass
    trace = json.loads((tmp_path / "trace.json").read_text())
    assert sum(event.get("name") == "computing" for event in trace["traceEvents"]) == 1
    assert "4 times" in table[3]


def test_without_a_profile_nothing_is_counted(tmp_path: Path) -> None:
    with profile(None) as table, part("computing"):
        pass
    assert table == []
    with (
        profile(tmp_path / "a.json"),
        pytest.raises(UserError, match="runs already"),
        profile(tmp_path / "b"),
    ):
        pass
    with profile(tmp_path / "a.json") as table:  # the first one was ended properly
        pass
    assert "0 times" in table[0]
