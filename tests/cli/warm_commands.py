"""Commands in processes that are forked from one which has imported the heavy libraries.

Each is `main()` in a process of its own that ends as Python ends it; only its start is not paid for 70 times.
That `python -m abaw_submit` and the installed script come to the same `main()` is tested beside it.
"""

import json
import os
import subprocess
import sys

SERVER = """
import gc, importlib, json, os, sys
from abaw_submit.cli.warm import _MODULES
for name in (*_MODULES, "abaw_submit.report.page", "abaw_submit.planning.build", "abaw_submit.faces.crop"):
    importlib.import_module(name)
gc.freeze()
requests = os.fdopen(os.dup(0))
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
print(flush=True)
while line := requests.readline():
    folder, words, said = json.loads(line)
    process = os.fork()
    if process == 0:
        place = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(place, 1), os.dup2(place, 2)
        os.chdir(folder)
        sys.argv = ["abaw-submit", *words]
        from abaw_submit.cli import main
        main()
    print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
"""


class Commands:
    """Runs abaw-submit's commands in a folder.

    Args:
        folder: where they run.
        room: where they may leave what they say.
    """

    def __init__(self, folder, room):
        self.folder, self._said = folder, room / "said"
        more = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "ABAW_TRACEBACK": "1"}
        self._server = subprocess.Popen(
            [sys.executable, "-c", SERVER],
            env={**os.environ, **more},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._server.stdout.readline()

    def __call__(self, words):
        """The exit code of a command, and all it said."""
        print(
            json.dumps([str(self.folder), [str(w) for w in words], str(self._said)]),
            file=self._server.stdin,
            flush=True,
        )
        code = int(self._server.stdout.readline())
        return code, self._said.read_text(encoding="utf-8", errors="replace")

    def close(self):
        self._server.communicate()
