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
    servers = {}
    for name in ("abaw-warm-dead", "abaw-warm-live", "other"):
        (tmp_path / name).mkdir()
        servers[name] = socket.socket(socket.AF_UNIX)
        servers[name].bind(str(tmp_path / name / "warm"))
        servers[name].listen()
    servers["abaw-warm-dead"].close()
    servers["other"].close()
    (tmp_path / "abaw-warm-empty").mkdir()
    remove_dead_sockets(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["abaw-warm-empty", "abaw-warm-live", "other"]
    servers["abaw-warm-live"].close()
