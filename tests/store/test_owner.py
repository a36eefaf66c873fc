"""Real processes on the same output: killed, two at once, and on a disk that cannot be written."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from abaw_submit.store import Owner, Stage, read_record, sha256_file
from abaw_submit.store.guard import state_path
from abaw_submit.store.hashing import cache_file

WORKER = """
import os, sys
from abaw_submit.errors import UserError
from abaw_submit.store import Stage, write_text, atomic_path
from pathlib import Path
out, value = Path(sys.argv[1]), sys.argv[2]
try:
    stage = Stage("copy", out, settings={"value": value}, inputs=[])
    if stage.done():
        print("done before")
        raise SystemExit
    with stage:
        with atomic_path(out / "half.txt") as half:
            half.write_text("half")
            print("working", flush=True)
            sys.stdin.readline()
        write_text(out / "a.txt", value)
        stage.output(out / "a.txt")
    print("made it")
except UserError as error:
    print(f"refused: {error}")
"""


def start(out, value="1"):
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(out), value],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def started(out, value="1"):
    worker = start(out, value)
    assert worker.stdout.readline() == "working\n"
    return worker


def hidden(folder):
    return [p.name for p in folder.rglob(".*")]


def test_a_second_process_with_the_same_work_waits_and_finds_it_done(tmp_path):
    out = tmp_path / "out"
    first = started(out)
    second = start(out)
    words = second.stderr.readline()
    assert words.startswith(f"{out} is being made by process {first.pid} on ")
    assert first.communicate("\n", timeout=30)[0] == "made it\n"
    assert second.communicate(timeout=30)[0] == "done before\n"
    assert hidden(tmp_path) == []


def test_a_second_process_with_other_work_is_refused(tmp_path):
    first = started(tmp_path / "out")
    words = start(tmp_path / "out", "2").communicate("\n", timeout=30)[0]
    assert f"is being written by process {first.pid} on" in words
    assert "other settings or inputs" in words
    assert first.communicate("\n", timeout=30)[0] == "made it\n"
    assert (tmp_path / "out" / "a.txt").read_text() == "1"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_process_leaves_an_output_that_the_next_takes_over_and_cleans(tmp_path, how):
    worker = started(tmp_path / "out")
    worker.send_signal(how)
    worker.communicate(timeout=30)
    assert hidden(tmp_path)
    assert read_record(tmp_path / "out") is None
    assert start(tmp_path / "out", "2").communicate("\n", timeout=30)[0] == "working\nmade it\n"
    assert hidden(tmp_path) == []
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a.txt", "half.txt", "record.json"]


def test_what_a_process_killed_just_after_its_record_left_goes_when_nothing_is_to_do(tmp_path):
    out = tmp_path / "out"
    start(out).communicate("\n", timeout=30)
    for kind in ("lock", "unfinished"):
        state_path(out, kind).write_text("{}")
    holder = started(tmp_path / "other")  # a living owner's stay
    assert Stage("copy", out, settings={"value": "1"}, inputs=[]).done()
    assert hidden(out.parent / "out") == []
    assert not any(state_path(out, kind).exists() for kind in ("lock", "unfinished"))
    owner = Owner(tmp_path / "other")
    owner.clear(state_path(tmp_path / "other", "unfinished"))
    assert owner.path.exists()
    assert state_path(tmp_path / "other", "unfinished").exists()
    holder.communicate("\n", timeout=30)


def test_a_folder_half_made_beside_a_finished_one_goes_too(tmp_path):
    out = tmp_path / "out"
    worker = started(out)  # the output is there, and has no record yet
    worker.kill()
    worker.communicate(timeout=30)
    (half,) = out.glob(".tmp-*")
    half.rename(tmp_path / half.name)  # as a run leaves it that was about to replace the whole folder
    assert start(out).communicate("\n", timeout=30)[0] == "working\nmade it\n"
    assert hidden(tmp_path) == []


def test_leftovers_of_a_living_process_stay(tmp_path):
    worker = started(tmp_path / "out")
    (half,) = (tmp_path / "out").glob(".tmp-*")
    from abaw_submit.store import remove_leftovers

    remove_leftovers(tmp_path / "out")
    assert half.exists()
    worker.kill()
    worker.communicate(timeout=30)
    remove_leftovers(tmp_path / "out")
    assert not half.exists()


def test_an_output_changed_in_place_is_noticed_and_made_again(tmp_path):
    out = tmp_path / "out"
    start(out).communicate("\n", timeout=30)
    (out / "a.txt").write_text("2")  # the same size
    os.utime(out / "a.txt", ns=(1, 1))
    assert start(out).communicate("\n", timeout=30)[0] == "working\nmade it\n"
    assert (out / "a.txt").read_text() == "1"


def test_done_changes_nothing_on_disk(tmp_path):
    start(tmp_path / "out").communicate("\n", timeout=30)
    before = {p: p.stat().st_mtime_ns for p in [tmp_path, *tmp_path.rglob("*")]}
    assert Stage("copy", tmp_path / "out", settings={"value": "1"}, inputs=[]).done()
    assert {p: p.stat().st_mtime_ns for p in [tmp_path, *tmp_path.rglob("*")]} == before


def test_an_unchanged_file_is_read_once_by_any_number_of_processes(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    video = tmp_path / "video"
    video.write_bytes(bytes(1 << 19))
    os.utime(video, (1, 1))
    code = "import sys; from abaw_submit.store import sha256_file; print(sha256_file(sys.argv[1]))"
    told = subprocess.run([sys.executable, "-c", code, video], capture_output=True, text=True).stdout.strip()

    def never(*_):
        raise AssertionError("read again")

    with monkeypatch.context() as patched:
        patched.setattr("hashlib.file_digest", never)
        assert sha256_file(video) == told
    with video.open("r+b") as handle:
        handle.write(b"x")
    os.utime(video, (1, 1))  # the old date put back
    assert sha256_file(video) != told
    assert len(cache_file().read_text().splitlines()) == 2


def test_a_finished_output_on_a_read_only_disk_is_up_to_date(tmp_path):
    start(tmp_path / "run" / "out").communicate("\n", timeout=30)
    if os.geteuid() == 0:  # rights do not hold root back: mount it read-only in a namespace of its own
        there = tmp_path / "run"
        script = f"mount --bind {there} {there} && mount -o remount,ro,bind {there} && exec "
        script += '"$@"'
        ns = ["unshare", "-m", "sh", "-c", script, "sh"]
        if subprocess.run([*ns, "true"], capture_output=True).returncode:
            pytest.skip("mounting is not allowed here")
    else:
        ns = []
        for path in [*(tmp_path / "run").rglob("*"), tmp_path / "run"]:
            Path(path).chmod(0o555)
    command = [*ns, sys.executable, "-c", WORKER, str(tmp_path / "run" / "out"), "1"]
    ended = subprocess.run(command, capture_output=True, text=True, input="\n")
    for path in [tmp_path / "run", *(tmp_path / "run").rglob("*")]:
        Path(path).chmod(0o755)
    assert (ended.stdout, ended.stderr) == ("done before\n", "")
