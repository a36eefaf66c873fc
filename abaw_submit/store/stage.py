"""One run of a stage: done already or not, one owner, nothing foreign touched, the record written last."""

from __future__ import annotations

import atexit
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from abaw_submit import __version__
from abaw_submit.store.atomic import remove_leftovers, write_json
from abaw_submit.store.guard import (
    claimed,
    read_mark,
    refuse_foreign_output,
    refuse_overlap,
    state_path,
    write_mark,
)
from abaw_submit.store.hashing import fingerprint, plain, sha256_file
from abaw_submit.store.identity import changed_outputs, identify
from abaw_submit.store.owner import Owner, release_all
from abaw_submit.store.record import RECORD_NAME, machine, peak_memory_mib, read_record, record_path
from abaw_submit.store.versions import version_of

atexit.register(release_all)


class Stage:
    """One run of a stage: knows whether it is done already, and writes the record last.

    Usage::

        stage = Stage("crop", out, settings={...}, inputs=[videos])
        if stage.done():
            return
        with stage:
            ...
            stage.output(path); stage.count("rows", n); stage.fail("video7", "cannot be decoded")

    From the first `done()` that is False until the end of the `with` block this process owns the output:
    another process with the same work waits and then finds it done, one with other work is refused. An item
    that failed does not spoil the rest: the record is kept with its failures, later stages use what is there,
    and the next run does what failed again.

    Args:
        name: the stage's name.
        out: the folder or file the stage makes.
        settings: everything that can change the bytes of the result (plain values, no worker counts).
        inputs: files and folders read; a folder with a record is identified by that record.
        reads: more that is read and known by the settings (millions of pictures): only kept from being
            overwritten.
        searches: folders searched for inputs of one kind; the output may lie in one, beside them.
        recognises: says of an entry of an output folder that has no record that this stage makes such; where
            all of them are such, the folder may be taken over.

    Raises:
        UserError: the output is or holds or lies in something that is read, or something else made it; an
            input folder is no longer what its record says.
    """

    def __init__(
        self,
        name: str,
        out: Path | str,
        *,
        settings: Mapping[str, Any],
        inputs: Sequence[Path | str],
        reads: Sequence[Path | str] = (),
        searches: Sequence[Path | str] = (),
        recognises: Callable[[Path], bool] | None = None,
    ) -> None:
        self.name, self.out = name, Path(out)
        self.settings = json.loads(json.dumps(dict(settings), default=plain))
        self.inputs = [Path(p) for p in inputs]
        refuse_overlap(self.out, [*self.inputs, *map(Path, reads)], list(map(Path, searches)))
        refuse_foreign_output(name, self.out, recognises)
        self._identities = {str(p): identify(p) for p in self.inputs}
        # paths are left out: the same bytes elsewhere are the same input
        identities = list(self._identities.values())
        self.fingerprint = fingerprint(name, self.settings, identities, version_of(name))
        self.outputs: list[Path] = []
        self.counts: dict[str, float] = {}
        self.failures: list[dict[str, str]] = []
        self._owner = Owner(self.out, self.fingerprint)
        self._start = 0.0

    def up_to_date(self) -> bool:
        """True if the record matches and every output has its recorded bytes. Changes nothing on disk."""
        record = read_record(self.out)
        if record is None or record["fingerprint"] != self.fingerprint or record["failures"]:
            return False
        return not changed_outputs(self.out, record)

    def done(self) -> bool:
        """True if the stage is up to date, perhaps after waiting for another process that does the same work.

        If False, this process owns the output until the end of the `with` block, or its own end.

        Raises:
            UserError: another process does other work there.
        """
        if self.up_to_date():
            self._owner.clear(state_path(self.out, "unfinished"))
            return True
        if not _main_process():
            return False
        self._owner.take()
        if self.up_to_date():
            self._owner.release()
            return True
        return False

    def share(self) -> None:
        """Mark the output as this stage's, for a shard, which writes no record and takes no lock."""
        if read_record(self.out) is None and read_mark(self.out) is None:
            write_mark(self.out, {"stage": self.name, "files": []})

    @property
    def earlier(self) -> set[Path]:
        """The files that earlier runs of this stage, finished or not, wrote into the output folder."""
        return claimed(self.out)

    def output(self, path: Path | str) -> None:
        """Note a file that was written, or all files of a folder; their hashes go into the record."""
        path = Path(path)
        if path.is_dir():
            inside = (p for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
            self.outputs += [p for p in inside if p.name != RECORD_NAME]
        else:
            self.outputs.append(path)

    def count(self, what: str, number: float) -> None:
        """Add to a count in the record."""
        self.counts[what] = self.counts.get(what, 0) + number

    def fail(self, item: str, why: str) -> None:
        """Note an item that failed; the rest goes on, and the stage is not done next time."""
        self.failures.append({"item": item, "why": why})

    def __enter__(self) -> Stage:
        self._start = time.perf_counter()
        self._owner.take()
        record = read_record(self.out)
        if record is not None:
            for path, what in changed_outputs(self.out, record):
                if what == "changed":  # no item may take for done what is not what was written
                    path.unlink()
        here = self.out.absolute().parent
        files = sorted(os.path.relpath(path, here) for path in self.earlier)
        write_mark(self.out, {"stage": self.name, "files": files})
        record_path(self.out).unlink(missing_ok=True)
        remove_leftovers(here, depth=1)  # of what was about to become the output
        remove_leftovers(self.out)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        mark = state_path(self.out, "unfinished")
        try:
            if kind is None:
                self._write_record()
                mark.unlink(missing_ok=True)
            elif not self.out.exists():
                mark.unlink(missing_ok=True)
        finally:
            self._owner.release()

    def _write_record(self) -> None:
        base = record_path(self.out).parent
        outputs = [
            {
                "path": Path(os.path.relpath(p, base)).as_posix(),
                "bytes": p.stat().st_size,
                "sha256": sha256_file(p),
            }
            for p in sorted(set(self.outputs))
        ]
        write_json(
            record_path(self.out),
            {
                "stage": self.name,
                "version": __version__,
                "fingerprint": self.fingerprint,
                "digest": fingerprint([(o["path"], o["sha256"]) for o in outputs]),
                "settings": self.settings,
                "inputs": [{"path": str(p), "identity": self._identities[str(p)]} for p in self.inputs],
                "outputs": outputs,
                "counts": self.counts,
                "failures": self.failures,
                "seconds": round(time.perf_counter() - self._start, 3),
                "peak_memory_mib": peak_memory_mib(),
                "machine": machine(),
            },
        )


def _main_process() -> bool:
    """False in the processes that `torchrun` started beside the first, which neither own nor write."""
    return os.environ.get("RANK", "0") == "0"
