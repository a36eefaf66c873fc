"""Python code that every process of a run imports before anything else, to write down what it does."""

import os
from pathlib import Path

# the events of Python's own auditing: opened files, imported modules
WRITE_DOWN = """
import os, sys
def note(event, arguments):
    if event == "{event}" and isinstance(arguments[0], str) and {wanted}:
        with os.fdopen(os.open({log!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT), "w") as log:
            log.write(f"{{os.getpid()}} {{arguments[0]}}\\n")
sys.addaudithook(note)
"""


def hooked(folder: Path, text: str) -> dict[str, str]:
    """The environment in which `text` is run first, as `sitecustomize`."""
    (folder / "sitecustomize.py").write_text(text, encoding="utf-8")
    return {"PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}


def written_down(folder: Path, event: str, wanted: str) -> tuple[dict[str, str], Path]:
    """Like `hooked`: (pid, what) of an event goes into a log where `wanted` is true of `arguments`."""
    log = folder / "log"
    log.touch()
    return hooked(folder, WRITE_DOWN.format(event=event, wanted=wanted, log=str(log))), log
