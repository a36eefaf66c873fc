"""One track's features files: by one extractor, or by several over one reading of its crops."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from abaw_submit.arrays import F16, F64, Mask
from abaw_submit.corpus.ledger import LEDGER_NAME, read_ledger
from abaw_submit.errors import UserError, is_machines
from abaw_submit.features.cache import (
    SCHEMA,
    feature_path,
    read_features,
    read_fingerprint,
    write_features,
)
from abaw_submit.features.job import Extraction, TrackResult, load_extractors
from abaw_submit.features.sources import crops_identity, sound_identity, video_of
from abaw_submit.features.views import VERSION as VIEWS_VERSION
from abaw_submit.store import fingerprint

# what a damaged video or picture makes a decoder say must not stop the other tracks
_TRACK_ERRORS = (UserError, OSError, ValueError, RuntimeError, ArithmeticError, LookupError)


def extract_track(
    jobs: Sequence[Extraction], track: str, crops: Path, videos: Sequence[Path], identity: str | None = None
) -> list[TrackResult]:
    """Make one track's features files, those that are not there already.

    What is wrong with the track becomes `problem`; what is wrong with an extractor or the machine is raised.

    Args:
        jobs: all of them listen, or all of them look at the crops, which are read once.
        track: the track.
        crops: folder of the tracks' folders.
        videos: for extractors that listen.
        identity: of the track's crops, where it is known already.

    Returns:
        What became of the file of each job.

    Raises:
        OSError: nothing can be written, or the machine has no more files or memory to give.
    """
    extractors = load_extractors(jobs)
    folder = crops / track
    if not (folder / LEDGER_NAME).is_file():
        return [TrackResult(track, problem=f"no {LEDGER_NAME} in {folder}") for _ in jobs]
    results: list[TrackResult | None] = [None] * len(jobs)
    try:
        video = video_of(track, videos) if jobs[0].listens else None
        first: list[tuple[F16, Mask, F64]] | None = None
        if identity is None and video is not None:
            identity = sound_identity(folder, video)
        elif identity is None:
            sizes: dict[str, int] = {}
            if not any(feature_path(job.out, track).is_file() for job in jobs):  # nothing could be kept
                first = _values(jobs, extractors, folder, None, sizes)
            identity = crops_identity(folder, sizes)
        keys = [_key(job, extractor, identity) for job, extractor in zip(jobs, extractors, strict=True)]
        results = [_kept(job, track, key) for job, key in zip(jobs, keys, strict=True)]
        todo = [k for k, result in enumerate(results) if result is None]
        if first is not None:
            made = [first[k] for k in todo]
        else:
            made = _values([jobs[k] for k in todo], [extractors[k] for k in todo], folder, video)
    except _TRACK_ERRORS as error:
        if is_machines(error):
            raise
        return [result or _problem(track, error) for result in results]
    for k, (views, valid, time_s) in zip(todo, made, strict=True):
        try:
            _write(jobs[k], track, keys[k], views, valid, time_s)
            results[k] = TrackResult(track, True, len(valid), int(valid.sum()))
        except OSError:  # the place it is written to: no track is to blame
            raise
        except _TRACK_ERRORS as error:
            results[k] = _problem(track, error)
    return [result for result in results if result is not None]


def _problem(track: str, error: Exception) -> TrackResult:
    if isinstance(error, (UserError, OSError)):
        return TrackResult(track, problem=str(error))
    text = " ".join(str(error).split())[:200]
    return TrackResult(track, problem=f"{type(error).__name__}: {text}")


def _key(job: Extraction, extractor: Any, identity: str) -> str:
    views = [[job.views, job.merge, VIEWS_VERSION]] if job.views > 1 else []
    return fingerprint("extract", SCHEMA, extractor.identity, identity, *views)


def _kept(job: Extraction, track: str, key: str) -> TrackResult | None:
    """The file that is there already, if it is this one."""
    out = feature_path(job.out, track)
    if read_fingerprint(out) != key:
        return None
    kept = read_features(out)
    return TrackResult(track, False, kept.rows, int(kept.valid.sum()))


def _values(
    jobs: Sequence[Extraction],
    extractors: Sequence[Any],
    folder: Path,
    video: Path | None,
    sizes: dict[str, int] | None = None,
) -> list[tuple[F16, Mask, F64]]:
    """For each extractor (views, rows, dim), which rows are valid, and the rows' times.

    `sizes` gets the bytes of the pictures that were read for it, by name.
    """
    if not jobs:
        return []
    if video is not None:
        from abaw_submit.features.audio import audio_features

        times = read_ledger(folder).time_s
        heard = [audio_features(video, times, extractor) for extractor in extractors]
        return [(values[None], valid, times) for values, valid in heard]
    from abaw_submit.features.visual import visual_features

    asked = [(extractor, job.views) for extractor, job in zip(extractors, jobs, strict=True)]
    batch, threads = jobs[0].batch, jobs[0].threads
    made, ledger = visual_features(folder, asked, batch=batch, threads=threads, sizes=sizes)
    return [(views, ledger.found, ledger.time_s) for views in made]


def _write(job: Extraction, track: str, key: str, views: F16, valid: Mask, time_s: F64) -> None:
    values, kept = views[0], None
    if len(views) > 1 and job.merge == "mean":
        values = np.asarray(np.mean(views, axis=0, dtype=np.float32), np.float16)
    elif len(views) > 1:
        kept = views[1:]
    path = feature_path(job.out, track)
    with _timed_writing():
        write_features(path, values, valid, time_s, extractor=job.extractor, fingerprint=key, views=kept)


def _timed_writing() -> AbstractContextManager[None]:
    """Counts as writing in a profile; without torch there is none (extractors that need no weights)."""
    profiling = sys.modules.get("abaw_submit.models.profiling")
    return profiling.part("writing") if profiling is not None else nullcontext()
