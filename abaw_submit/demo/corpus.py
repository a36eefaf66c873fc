"""Write the whole synthetic corpus in the official layout of edition 6."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2

from abaw_submit.demo.clip import EDITION, draw_episodes, make_clip
from abaw_submit.demo.clips import STILLS, Clip, clips_of, release_order
from abaw_submit.demo.stills import make_stills
from abaw_submit.errors import UserError
from abaw_submit.progress import Progress, quiet
from abaw_submit.store import VERSIONS, Stage, read_mark, read_record, write_text
from abaw_submit.tasks import AU, EXPR, TASKS, VA, Task
from abaw_submit.workers import in_workers

_LISTS = {
    VA.name: "Valence_Arousal_Estimation_Challenge_test_set_release.txt",
    EXPR.name: "Expression_Recognition_Challenge_test_set_release.txt",
    AU.name: "Action_Unit_Detection_Challenge_test_set_release.txt",
}
_TEMPLATES = {VA.name: "VA", EXPR.name: "Expr", AU.name: "AU"}
_STILLS_A_JOB = 100
RECIPE = VERSIONS["demo-data"]
STAGE = "demo-data"
FOLDERS = ("annotations", "faces", "test_sets", "truth", "videos")
MARKER = "README.txt"
MARKER_TEXT = """Made by `abaw-submit demo-data`: a synthetic corpus in the layout of Aff-Wild2, edition 6.
No real person is shown or heard. See docs/explanation/demo-corpus.md.
"""


def write_corpus(
    out: Path, seed: int = 0, size: str = "small", jobs: int = 1, progress: Progress = quiet
) -> bool:
    """Write videos, annotations, test lists, templates, stills and the hidden truth.

    Args:
        out: the folder to make.
        seed: the same seed gives the same labels, byte for byte, for any number of jobs.
        size: "tiny" for tests, "small" for the demo.
        jobs: worker processes; 0 for one per core.
        progress: wraps the finished jobs, for a bar.

    Returns:
        False if the corpus was there already.

    Raises:
        UserError: no such size, or `out` holds something else.
    """
    clips = clips_of(size)
    _refuse_foreign(out)
    settings = {"seed": seed, "size": size, "recipe": RECIPE}
    stage = Stage(STAGE, out, settings=settings, inputs=[], recognises=_recognise)
    if stage.done():
        return False
    earlier = stage.earlier | _of_an_older_corpus(out)
    with stage:
        write_text(out / MARKER, MARKER_TEXT)
        stage.output(out / MARKER)
        work = _work(clips, out, seed, STILLS[size])
        results = in_workers(_quietly, work, jobs)
        for files in progress(results, len(work), "demo-data"):
            for path in files:
                stage.output(path)
        for path in _write_test_sets(clips, out):
            stage.output(path)
        _remove_others(earlier, stage.outputs)
        stage.count("videos", len(clips))
        stage.count("tracks", sum(len(c.tracks) for c in clips))
        stage.count("rows", sum(c.frames + t.extra_rows for c in clips for t in c.tracks))
        stage.count("stills", STILLS[size])
    return True


def _refuse_foreign(out: Path) -> None:
    """Only an empty folder, a corpus, or what a broken off run left is written to."""
    if not out.exists() or (out / MARKER).is_file() or not out.is_dir() or not any(out.iterdir()):
        return
    for found in (read_record(out), read_mark(out)):
        if found is not None and found["stage"] == STAGE:
            return
    raise UserError(f"{out} is not empty and is not a demo corpus. Give an empty or new folder.")


def _of_an_older_corpus(out: Path) -> set[Path]:
    """What may lie in a corpus that has lost its record: files of the kinds and in the places of one."""
    if read_record(out) is not None or not (out / MARKER).is_file():
        return set()
    places = ("videos/*.avi", "videos/*.mp4", "faces/*.jpg", "annotations/*/*_Set/*.txt")
    return {path.absolute() for place in places for path in out.glob(place)}


def _recognise(entry: Path) -> bool:
    """An entry of a corpus whose making was broken off before it had a record."""
    return (entry.parent / MARKER).is_file() and entry.name in (MARKER, *FOLDERS)


def _remove_others(earlier: set[Path], written: list[Path]) -> None:
    """What an older corpus of another size left behind would be read as part of this one."""
    for path in sorted(earlier - {path.absolute() for path in written}):
        path.unlink(missing_ok=True)


def _work(clips: tuple[Clip, ...], out: Path, seed: int, stills: int) -> list[tuple[Any, ...]]:
    """One job a clip, one a batch of stills; longest first, so that workers end together."""
    work: list[tuple[int, tuple[Any, ...]]] = []
    for clip, episodes in zip(clips, draw_episodes(clips, seed), strict=True):
        cost = clip.frames * (1 + len(clip.tracks))
        work.append((cost, (make_clip, clip, episodes, out, seed)))
    for first in range(0, stills, _STILLS_A_JOB):
        count = min(_STILLS_A_JOB, stills - first)
        work.append((0, (make_stills, out / "faces", seed, first, count)))
    return [job for _, job in sorted(work, key=lambda item: -item[0])]


def _quietly(function: Callable[..., list[Path]], *arguments: Any) -> list[Path]:
    cv2.setNumThreads(1)
    return function(*arguments)


def _write_test_sets(clips: tuple[Clip, ...], out: Path) -> list[Path]:
    written = []
    for task in TASKS.values():
        tracks = release_order(clips, task)
        names = out / "test_sets" / "names_of_videos_in_each_test_set" / _LISTS[task.name]
        write_text(names, "".join(f"{name}\n" for name, _ in tracks))
        written.append(names)
        for kind in ("sample", "example"):
            path = out / "test_sets" / f"CVPR_{EDITION}th_ABAW_{_TEMPLATES[task.name]}_test_set_{kind}.txt"
            write_text(path, template_text(task, tracks, dummy=kind == "example"))
            written.append(path)
    return written


def template_text(task: Task, tracks: list[tuple[str, int]], dummy: bool) -> str:
    """The organisers' template: a row for every frame, values blank or made up.

    >>> print(template_text(EXPR, [("102", 1)], dummy=False).splitlines()[1])
    102/00001.jpg,
    """
    values = {VA.name: "0.5,-0.5", EXPR.name: "0", AU.name: "1,0,1,1,1,0,0,1,0,0,0,1"}[task.name]
    lines = [f"image_location,{task.header(EDITION)}"]
    for name, rows in tracks:
        lines += [f"{name}/{row:05d}.jpg,{values if dummy else ''}" for row in range(1, rows + 1)]
    return "\n".join(lines) + "\n"
