"""Atomic writes, fingerprints and records: what a killed or repeated run relies on."""

import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap

import pytest

from abaw_submit.errors import UserError
from abaw_submit.store import (
    Stage,
    atomic_path,
    fingerprint,
    hashing,
    identify,
    read_record,
    read_sha256,
    sha256_file,
    write_text,
)


def test_a_failed_write_leaves_the_old_file_and_no_temporary(tmp_path):
    target = tmp_path / "a.txt"
    write_text(target, "old")
    with pytest.raises(ValueError), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise ValueError
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_replaces_the_old_folder(tmp_path):
    target = tmp_path / "track"
    for name in ("old.jpg", "new.jpg"):
        with atomic_path(target) as temporary:
            temporary.mkdir()
            (temporary / name).touch()
    assert [p.name for p in target.iterdir()] == ["new.jpg"]


def test_a_killed_writer_leaves_nothing_under_the_final_name(tmp_path):
    code = """
        import os, signal, sys
        from abaw_submit.store import atomic_path
        with atomic_path(sys.argv[1]) as temporary:
            temporary.write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)
    """
    target = tmp_path / "a.h5"
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code), str(target)])
    assert done.returncode == -signal.SIGKILL
    assert not target.exists()


def test_fingerprint_sees_values_and_not_dict_order():
    assert fingerprint({"a": 1, "b": [2]}) == fingerprint({"b": [2], "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})


def test_a_folder_is_identified_by_names_and_bytes(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "1.txt").write_text("one")
    first = identify(tmp_path / "x")
    os.utime(tmp_path / "x" / "1.txt", (1, 1))  # a date is not content
    assert identify(tmp_path / "x") == first
    (tmp_path / "x" / "1.txt").write_text("two")
    assert identify(tmp_path / "x") != first


def run_stage(out, source, value=1):
    stage = Stage("copy", out, settings={"value": value}, inputs=[source])
    if stage.done():
        return "skipped"
    with stage:
        result = out / "result.txt"
        write_text(result, source.read_text() * value)
        stage.output(result)
        stage.count("letters", value)
    return "ran"


def test_a_second_run_returns_at_once_and_a_change_of_input_or_setting_runs_again(tmp_path):
    source, out = tmp_path / "in.txt", tmp_path / "out"
    source.write_text("a")
    assert run_stage(out, source) == "ran"
    assert run_stage(out, source) == "skipped"
    assert run_stage(out, source, value=2) == "ran"
    source.write_text("b")
    assert run_stage(out, source, value=2) == "ran"
    (out / "result.txt").unlink()  # a record alone is not the work
    assert run_stage(out, source, value=2) == "ran"


def test_the_record_says_what_went_in_and_out(tmp_path):
    source, out = tmp_path / "in.txt", tmp_path / "out"
    source.write_text("a")
    run_stage(out, source, value=3)
    record = read_record(out)
    assert record["counts"] == {"letters": 3}
    assert record["outputs"] == [
        {"path": "result.txt", "bytes": 3, "sha256": sha256_file(out / "result.txt")}
    ]
    assert record["inputs"][0]["identity"] == sha256_file(source)
    json.dumps(record)


def test_a_stage_with_failures_is_not_done(tmp_path):
    for _ in range(2):
        stage = Stage("crop", tmp_path, settings={}, inputs=[])
        assert not stage.done()
        with stage:
            stage.fail("video7", "cannot be decoded")


def test_an_error_inside_a_stage_leaves_no_record(tmp_path):
    stage = Stage("crop", tmp_path, settings={}, inputs=[])
    with pytest.raises(KeyError), stage:
        raise KeyError
    assert read_record(tmp_path) is None


@pytest.mark.parametrize(
    "words", ["[enforce fail at inline_container.cc:664] unexpected pos", "basic_ios::clear: iostream error"]
)
def test_what_torch_says_of_a_full_disk_is_said_plainly(tmp_path, monkeypatch, words):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=4096))
    with pytest.raises(OSError, match="No space left") as told, atomic_path(tmp_path / "last.pt"):
        raise RuntimeError(words)
    assert told.value.errno == errno.ENOSPC
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1 << 40))
    with pytest.raises(RuntimeError), atomic_path(tmp_path / "last.pt"):
        raise RuntimeError(words)


def test_a_terabyte_of_nothing_is_not_read_and_a_file_with_holes_is(tmp_path, monkeypatch):
    hole, some = tmp_path / "hole.h5", tmp_path / "some.bin"
    with hole.open("wb") as handle:
        handle.write(b"a little")
        handle.truncate(1 << 40)
    for read in (sha256_file, read_sha256):
        with pytest.raises(UserError, match="claims 1,099,511,627,776 bytes and holds next to nothing"):
            read(hole)
    monkeypatch.setattr(hashing, "_LARGE_BYTES", 1 << 20)
    with some.open("wb") as handle:
        handle.truncate(2 << 20)
        handle.write(b"x" * (2 << 20))
        handle.truncate(8 << 20)
    assert sha256_file(some) == read_sha256(some) == hashlib.sha256(some.read_bytes()).hexdigest()
