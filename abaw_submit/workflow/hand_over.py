"""Hand a job to the warm process of the run, if there is one; else become the job.

Called by Snakemake for every job, so it imports next to nothing: a script, not a module of the package.
"""

import array
import os
import socket
import sys

SOCKET = "ABAW_WARM_SOCKET"


def main() -> None:
    """Run `abaw_submit.cli.job` with this script's arguments and end with its exit code."""
    address = os.environ.get(SOCKET)
    if address:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(address)
        except OSError:
            address = ""  # it is gone: the job can do without
    if not address:
        os.execv(sys.executable, [sys.executable, "-m", "abaw_submit.cli.job", *sys.argv[1:]])
    words = "\0".join(sys.argv[1:]).encode()
    streams = array.array("i", [0, 1, 2])
    connection.sendmsg(
        [len(words).to_bytes(4, "big") + words], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)]
    )
    answer = connection.recv(1)  # nothing if the process was killed
    sys.exit(answer[0] if answer else 137)


if __name__ == "__main__":
    main()
