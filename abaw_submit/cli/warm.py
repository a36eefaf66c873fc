"""A process that has imported the heavy libraries once, and forks for each job of a run.

Importing torch and timm takes five seconds of processor time: more than many a job of a small run. Nothing is
computed here, so each job begins as if it were a process of its own. On one machine only, and only where a
process can be forked safely (Linux); everywhere else jobs import what they need.
"""

from __future__ import annotations

import array
import contextlib
import gc
import importlib
import os
import socket
import sys

# what the jobs of a run import anyway; torch's optimisers import _dynamo when the first one is made
_MODULES = (
    "torch",
    "torch._dynamo",
    "timm.models.vision_transformer",
    "accelerate",
    "abaw_submit.training.pretrain",
    "abaw_submit.training.finetune",
    "abaw_submit.training.tmf",
    "abaw_submit.features.visual",
    "abaw_submit.features.extract",
    "abaw_submit.postprocess.stages",
)
_MAX_BYTES = 1 << 16
_ASK_S = 0.2


def main() -> None:
    """Serve until SOCKET is removed or the process that started this one ends."""
    owner = os.getppid()
    server = socket.socket(socket.AF_UNIX)
    server.bind(sys.argv[1])
    server.listen(64)
    server.settimeout(_ASK_S)
    ready = False
    while os.getppid() == owner and os.path.exists(sys.argv[1]):
        _reap()
        try:
            connection, _ = server.accept()
        except TimeoutError:
            continue
        if not ready:
            _import_all()
            ready = True
        if os.fork() == 0:
            server.close()
            _job(connection)
        connection.close()
    _reap()
    _leave(sys.argv[1])


def _leave(path: str) -> None:
    """Remove the socket and its folder, if the run that made them was killed before it could."""
    with contextlib.suppress(OSError):
        os.unlink(path)
    with contextlib.suppress(OSError):
        os.rmdir(os.path.dirname(path))


def _reap() -> None:
    """Take note of the children that have ended, so that their processor time counts as the run's."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


def _import_all() -> None:
    for name in _MODULES:
        try:
            importlib.import_module(name)
        except ImportError:  # a lighter installation: the job that needs it says so
            continue
    gc.collect()
    gc.freeze()  # so that the children do not copy what they only read


def _job(connection: socket.socket) -> None:
    """One job, in a child process; its exit code goes back over the connection."""
    connection.settimeout(None)
    code = 3
    try:
        words = _receive(connection)
        if words is None:
            os._exit(0)
        sys.argv = ["job", *words]
        from abaw_submit.cli.job import main as job

        job()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        with contextlib.suppress(OSError):  # who asked may be gone
            connection.sendall(bytes([code & 255]))
        os._exit(0)


def _receive(connection: socket.socket) -> list[str] | None:
    """The job's arguments; its standard streams become this process's. None if the other side hung up."""
    streams = array.array("i")
    data, extra, _, _ = connection.recvmsg(_MAX_BYTES, socket.CMSG_LEN(3 * streams.itemsize))
    for _, _, raw in extra:
        streams.frombytes(raw[: len(raw) - len(raw) % streams.itemsize])
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    while len(data) < 4 or len(data) < 4 + int.from_bytes(data[:4], "big"):
        more = connection.recv(_MAX_BYTES)
        if not more:
            return None
        data += more
    return data[4:].decode().split("\0")


if __name__ == "__main__":
    main()
