"""The process that jobs are forked from leaves nothing behind, however the run ended."""

import os
import signal
import socket
import subprocess
import sys
import time

from abaw_submit.workflow.launch import remove_dead_sockets

STARTED = """
import subprocess, sys
subprocess.Popen([sys.executable, "-m", "abaw_submit.cli.warm", sys.argv[1]])
input()
"""


QUICK = """
from abaw_submit.cli import warm
warm._MODULES = ()
warm.main()
"""


def wait_for(condition):
    for _ in range(600):
        if condition():
            return True
        time.sleep(0.05)
    return False


def test_it_ends_with_its_run_and_takes_its_folder_along(tmp_path):
    folder = tmp_path / "abaw-warm-x"
    folder.mkdir()
    run = subprocess.Popen([sys.executable, "-c", STARTED, str(folder / "warm")], stdin=subprocess.PIPE)
    assert wait_for((folder / "warm").exists)
    os.kill(run.pid, signal.SIGKILL)
    run.communicate()
    assert wait_for(lambda: not folder.exists())


def test_sockets_of_killed_runs_are_removed_and_live_ones_stay(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    names = [f"abaw-warm-{ended.pid}-x", f"abaw-warm-{os.getpid()}-x", "abaw-warm-other", "other"]
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "warm").touch()
    remove_dead_sockets(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(names[1:])


def test_who_connects_and_asks_for_nothing_leaves_no_process_behind(tmp_path):
    """It once spun for ever in a child, which kept the run's output open: the run never ended."""
    address = str(tmp_path / "warm")
    warm = subprocess.Popen([sys.executable, "-c", QUICK, address], stdout=subprocess.PIPE)
    assert wait_for(lambda: os.path.exists(address))
    for sent in (b"", b"\0\0", b"\0\0\1\0word"):
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(address)
            caller.sendall(sent)
    os.unlink(address)
    warm.communicate(timeout=60)  # the pipe is at its end only when no child holds it
    assert warm.returncode == 0
