"""Worker processes: the same results, the folder they work in, and their end."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from abaw_submit.errors import UserError
from abaw_submit.workers import in_workers, stop_workers

PARENT = """
import os, sys
from pathlib import Path
from joblib.externals.loky import reusable_executor
from abaw_submit.workers import in_workers
list(in_workers(os.getpid, [()] * 8, 2))
print(*reusable_executor._executor._processes, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def no_workers_of_other_tests():
    stop_workers()
    yield
    stop_workers()


def test_results_do_not_depend_on_the_number_of_processes():
    calls = [(a, 2) for a in range(20)]
    assert set(in_workers(pow, calls, 1)) == set(in_workers(pow, calls, 2)) == {a * a for a in range(20)}
    assert list(in_workers(pow, [], 2)) == []


def test_one_process_works_in_order_and_needs_no_other():
    assert list(in_workers(os.getpid, [()], 1)) == [os.getpid()]
    assert list(in_workers(os.getpid, [()], 8)) == [os.getpid()]  # one call needs no second process


def test_relative_paths_are_those_of_the_folder_at_the_time_of_the_call(tmp_path, monkeypatch):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "name.txt").write_text(name)
        monkeypatch.chdir(tmp_path / name)
        assert set(in_workers(Path.read_text, [(Path("name.txt"),)] * 4, 2)) == {name}


def test_a_worker_that_is_killed_is_told_and_the_next_call_has_others():
    with pytest.raises(UserError, match="want of memory") as told:
        list(in_workers(_kill_yourself, [(True,)] * 4, 2))
    assert len(str(told.value).splitlines()) <= 3
    assert list(in_workers(_kill_yourself, [(False,)] * 4, 2)) == [None] * 4


def _kill_yourself(really):
    if really:
        os.kill(os.getpid(), signal.SIGKILL)


MASKS = """
from signal import SIG_BLOCK, SIGINT, SIGTERM, SIGUSR1, pthread_sigmask
from abaw_submit.workers import in_workers
stops = {SIGINT, SIGTERM, SIGUSR1}
assert all(stops <= mask for mask in in_workers(pthread_sigmask, [(SIG_BLOCK, ())] * 4, 2))
assert not stops & pthread_sigmask(SIG_BLOCK, ())
"""


def test_workers_do_not_hear_what_stops_the_program():
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", MASKS], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel of Linux")
def test_idle_workers_end_with_a_parent_that_is_killed():
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    workers = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(workers) == 2
    handles = [os.pidfd_open(pid) for pid in workers]
    parent.kill()
    parent.wait()
    for handle in handles:  # readable once the process has ended
        assert select.select([handle], [], [], 20)[0]
        os.close(handle)
    parent.stdin.close()
    parent.stdout.close()
