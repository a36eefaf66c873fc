"""Taking away what a run made, and nothing else."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from abaw_submit.store import RECORD_NAME, read_record, record_path
from abaw_submit.tasks import MORE_TASKS, TASKS
from abaw_submit.workflow.engine import run_lock
from abaw_submit.workflow.layout import RunLayout

# what stages write beside the outputs that their records list
_OWN_NAMES = re.compile(
    r"(.*\.)?record\.json|\d{5,}\.jpg|ledger\.csv|last\.pt|model\.safetensors|config\.toml|history\.csv"
    r"|curves\.svg|scores_\w+\.h5|\..*\.tmp.*|\..*\.(unfinished|lock)(\..*)?"
)


@dataclass
class Cleaned:
    """What `clean` did.

    Attributes:
        files: how many files it removed.
        bytes: their size.
        kept: files of the run's folders that no stage made.
    """

    files: int = 0
    bytes: int = 0
    kept: list[Path] = field(default_factory=list)


def clean(layout: RunLayout, *, dry_run: bool = False) -> Cleaned:
    """Remove what a run made: its work, its checkpoints, its submissions, its folds, its demo corpus.

    Files that no stage's record names and no stage writes stay where they are, and so do other runs.

    Args:
        layout: the run's paths.
        dry_run: only count.

    Raises:
        UserError: the run is being made just now.
    """
    done = Cleaned()
    folders = [folder for folder in layout.owned if folder.is_dir()]
    every = (*TASKS.values(), *MORE_TASKS.values())
    splits = list(dict.fromkeys(p for task in every for p in _with_record(layout.splits(task.key))))
    if not folders and not any(p.is_file() for p in splits):
        return done
    with run_lock(layout):
        for path in [*splits, *(p for folder in folders for p in _files(folder))]:
            if not path.is_file() and not path.is_symlink():
                continue
            if path not in splits and not _made(path, layout):
                done.kept.append(path)
                continue
            done.files += 1
            done.bytes += path.lstat().st_size
            if not dry_run:
                path.unlink()
    if not dry_run:
        for folder in folders:
            _remove_empty(folder)
    return done


def _with_record(path: Path) -> list[Path]:
    record = read_record(path) or {"outputs": []}
    return [path, *(path.parent / o["path"] for o in record["outputs"]), record_path(path)]


def _files(folder: Path) -> list[Path]:
    """Every file; a link is a file, and is not followed."""
    found = []
    for parent, folders, files in os.walk(folder):
        links = [name for name in folders if (Path(parent) / name).is_symlink()]
        found += [Path(parent) / name for name in (*links, *files)]
    return found


class _Records(dict[Path, frozenset[Path]]):
    """By folder, the outputs that the records in it list; read once."""

    def __missing__(self, folder: Path) -> frozenset[Path]:
        named: set[Path] = set()
        for record in folder.glob(f"*{RECORD_NAME}"):
            owner = folder if record.name == RECORD_NAME else folder / record.name[: -len(RECORD_NAME) - 1]
            value = read_record(owner) or {"outputs": []}
            named.update(Path(os.path.normpath(folder / output["path"])) for output in value["outputs"])
        self[folder] = frozenset(named)
        return self[folder]


_records = _Records()


def _made(path: Path, layout: RunLayout) -> bool:
    if path in (layout.report, layout.score_table) or layout.stages in path.parents:
        return True
    above = list(_within(path, layout))
    if any(path in _records[folder] for folder in above):
        return True
    if path.name.endswith(f".{RECORD_NAME}"):
        return True
    # of the names that stages use, only those in a stage's folder
    return bool(_OWN_NAMES.fullmatch(path.name)) and not path.is_symlink() and len(above) > 1


def _within(path: Path, layout: RunLayout) -> Iterator[Path]:
    """The folders above a path, down to the run's own."""
    for folder in path.parents:
        yield folder
        if folder in layout.owned:
            return


def _remove_empty(folder: Path) -> None:
    for parent, _, _ in sorted(os.walk(folder), reverse=True):
        if not os.listdir(parent):
            os.rmdir(parent)
