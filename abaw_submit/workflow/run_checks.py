"""What a run needs before it starts: every path of its config, counts, leaks of the official split.

`examine_run` is what `doctor -c` prints; each check is a function of its own, so that the workflow can make
the same checks before it starts. Nothing here reads a picture or a frame: a whole corpus takes seconds.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from abaw_submit.config import read_toml
from abaw_submit.corpus.annotations import annotation_files
from abaw_submit.corpus.multitask import is_union
from abaw_submit.corpus.official import OFFICIAL
from abaw_submit.corpus.tracklists import known_tests, read_tracks
from abaw_submit.corpus.tracks import VIDEO_SUFFIXES, sibling_group, split_track
from abaw_submit.errors import UserError
from abaw_submit.store import read_record
from abaw_submit.tasks import MTL, MTL_PARTS, Task, any_task
from abaw_submit.workflow.doctor import Finding, no_folder
from abaw_submit.workflow.layout import RunLayout
from abaw_submit.workflow.settings import RunSettings, load_run
from abaw_submit.workflow.units import maker_of
from abaw_submit.workflow.weight_checks import audio_there, encoder_there, trained_there, weights_there

SHOWN = 3  # names given as examples


def examine_run(config: Path, run: RunSettings | None = None) -> list[Finding]:
    """Everything a run's config names, in the order of the stages.

    Args:
        config: a TOML file with a `[run]` section.
        run: that section, if something of it was replaced on the command line.

    Raises:
        UserError: the config cannot be read, or has an unknown key.
    """
    run = run or load_run(config)
    wanted = [any_task(name) for name in run.tasks.split()]
    tasks = list(dict.fromkeys(part for task in wanted for part in task.parts))
    if run.corpus and read_record(Path(run.corpus)) is None:  # not begun, or not finished
        return [Finding("corpus", "ok", f"{run.corpus} will be made by the run itself; nothing to check yet")]
    findings = [videos_there(run), crops_there(run)]
    if not run.trained:
        for task in tasks:
            findings += [annotations_there(run, task), template_there(run, task), official_leaks(run, task)]
        findings += [multi_task_there(run), encoder_there(run)]
    else:
        findings += [trained_there(run, task) for task in tasks]
    findings += audio_there(run, wanted, read_toml(config))
    if run.embedding and maker_of(RunLayout(run), run.embedding.partition("@")[2] or run.embedding) is None:
        findings.append(
            weights_there("embedding", run.embedding, "Correct [run] embedding, or leave it empty.")
        )
    findings += [video_of_every_track(run, tasks)]
    return [f for f in findings if f.what]


_NOTHING = Finding("", "ok", "")


def videos_there(run: RunSettings) -> Finding:
    """The folder of videos, and how many media files are in it."""
    if not run.videos:
        return Finding("videos", "missing", "[run] videos is empty", "Set it, or give make VIDEOS=FOLDER.")
    folder = Path(run.videos)
    if not folder.is_dir():
        return no_folder("videos", folder)
    number = len(_media(folder))
    if not number:
        suffixes = " ".join(VIDEO_SUFFIXES)
        return Finding(
            "videos", "missing", f"no media file in {folder}", f"Looked for {suffixes}, sub-folders too."
        )
    return Finding("videos", "ok", f"{number:,} media files in {folder}")


def crops_there(run: RunSettings) -> Finding:
    """The organisers' crops, if the run names them."""
    if not run.crops:
        return _NOTHING
    folder = Path(run.crops)
    if not folder.is_dir():
        return no_folder("crops", folder)
    number = sum(entry.is_dir() for entry in os.scandir(folder))
    if not number:
        fix = (
            "Give the folder that holds a folder of pictures for each track, both archives unpacked into it."
        )
        return Finding("crops", "missing", f"no track folder in {folder}", fix)
    return Finding("crops", "ok", f"{number:,} track folders in {folder}")


def annotations_there(run: RunSettings, task: Task) -> Finding:
    """One task's annotation files, counted against the official sets."""
    what = f"{task.name} annotations"
    if not run.annotations:
        return Finding(what, "missing", "[run] annotations is empty", "Set it to the folder that holds them.")
    try:
        files = annotation_files(run.annotations, task)
    except UserError as error:
        first, *rest = str(error).splitlines()
        return Finding(what, "missing", first, " ".join(rest) or "Correct [run] annotations.")
    if not files:
        folder = f"{task.challenge_folder()}/Train_Set"
        return Finding(
            what,
            "missing",
            f"none under {run.annotations}",
            f"Expected {folder} there, or leave {task.name} out of [run] tasks.",
        )
    parts = {s: sum(subset == s for _, subset in files) for s in ("train", "validation")}
    official = OFFICIAL[task.name]
    detail = f"{parts['train']} train and {parts['validation']} validation tracks"
    if (parts["train"], parts["validation"]) == (official.train, official.validation):
        return Finding(what, "ok", f"{detail}, as in the official sets")
    if run.corpus:  # made by the run itself
        return Finding(what, "ok", detail)
    return Finding(
        what,
        "note",
        f"{detail}; the official sets of editions 5 to 10 have {official.train} and {official.validation}",
        "If this is meant to be Aff-Wild2, look for an archive that was not unpacked.",
    )


def template_there(run: RunSettings, task: Task) -> Finding:
    """One task's template or list of test tracks, counted against the official ones."""
    what = f"{task.name} template"
    value = getattr(run, f"template_{task.key}")
    if not value:
        return Finding(
            what, "note", f"[run] template_{task.key} is empty: there will be no {task.name} submission"
        )
    if not Path(value).is_file():
        return Finding(what, "missing", f"no file {value}", f"Correct [run] template_{task.key}.")
    try:
        tracks = read_tracks(Path(value))
    except UserError as error:
        return Finding(
            what, "missing", str(error).splitlines()[0], "Give the file as the organisers sent it."
        )
    rows = sum(n or 0 for n in tracks.values())
    official = OFFICIAL.get(task.name)
    detail = f"{len(tracks)} tracks" + (f", {rows:,} rows" if rows else "")
    if official is None:
        return Finding(what, "ok", detail)
    if len(tracks) == official.test and rows in (0, official.test_rows):
        return Finding(what, "ok", f"{detail}, as in the official template")
    if run.corpus:
        return Finding(what, "ok", detail)
    return Finding(
        what,
        "note",
        f"{detail}; the official template has {official.test} tracks and {official.test_rows:,} rows",
    )


def multi_task_there(run: RunSettings) -> Finding:
    """What a multi-task model needs beside the files of its tasks."""
    if MTL.key not in run.task_keys or not run.annotations:
        return _NOTHING
    given = known_tests([Path(path) for path in run.templates(MTL.key) if Path(path).is_file()])
    if is_union(Path(run.annotations)) and given < len(MTL_PARTS):
        names = ", ".join(f"template_{part.key}" for part in MTL_PARTS)
        detail = f"test lists of {given} tasks; a track that one task labels may be another's test track"
        return Finding("MTL test tracks", "missing", detail, f"Set {names} in [run].")
    return template_there(run, MTL)


def official_leaks(run: RunSettings, task: Task) -> Finding:
    """Recordings that lie on two sides of the official division: `split` takes them out of training."""
    what = f"{task.name} official split"
    try:
        files = annotation_files(run.annotations, task) if run.annotations else []
        value = getattr(run, f"template_{task.key}")
        test = read_tracks(Path(value)) if value and Path(value).is_file() else {}
    except UserError:
        return _NOTHING  # said by the other checks
    sides = {
        "training": {sibling_group(p.stem) for p, subset in files if subset == "train"},
        "validation": {sibling_group(p.stem) for p, subset in files if subset == "validation"},
        "test": {sibling_group(track) for track in test},
    }
    if not sides["training"] or not (sides["validation"] or sides["test"]):
        return _NOTHING
    across = [
        f"{_some(sides['training'] & sides[other])} in training and {other}"
        for other in ("validation", "test")
        if sides["training"] & sides[other]
    ]
    if not across:
        return Finding(what, "ok", "no recording is on two sides")
    return Finding(what, "note", "; ".join(across), "`split` takes their training tracks out; nothing to do.")


def video_of_every_track(run: RunSettings, tasks: Sequence[Task]) -> Finding:
    """Annotated and test tracks for which no media file lies under the folder of videos."""
    what = "a video for every track"
    if not run.videos or not Path(run.videos).is_dir():
        return _NOTHING  # said by videos_there
    tracks: set[str] = set()
    for task in tasks:
        try:
            if run.annotations:
                tracks |= {path.stem for path, _ in annotation_files(run.annotations, task)}
            value = getattr(run, f"template_{task.key}")
            if value and Path(value).is_file():
                tracks |= set(read_tracks(Path(value)))
        except UserError:
            continue  # said by the other checks
    if not tracks:
        return _NOTHING
    names = {path.stem for path in _media(Path(run.videos))}
    lost = {t for t in tracks if t not in names and split_track(t)[0] not in names}
    if lost:
        fix = "Unpack every batch of videos into this folder; its sub-folders are searched too."
        return Finding(what, "missing", f"none for {_some(lost)} of {len(tracks):,} tracks", fix)
    return Finding(what, "ok", f"{len(tracks):,} tracks have one")


def _media(folder: Path) -> list[Path]:
    return [p for p in folder.rglob("*") if p.suffix.lower() in VIDEO_SUFFIXES and not p.name.startswith(".")]


def _some(names: set[str]) -> str:
    shown = ", ".join(sorted(names)[:SHOWN])
    return f"{len(names)} ({shown}{', …' if len(names) > SHOWN else ''})"
