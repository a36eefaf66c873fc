"""Crop a corpus: plan, share out over processes or machines, collect, record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from abaw_submit.corpus.ledger import LEDGER_NAME
from abaw_submit.corpus.tracklists import take_shard
from abaw_submit.corpus.tracks import list_videos, odd_name
from abaw_submit.errors import UserError
from abaw_submit.faces.adopt import find_sources, plan_adoption
from abaw_submit.faces.crop import (
    SUMMARY_COLUMNS,
    TRACK_RECORD,
    CropResult,
    CropTask,
    crop_video,
    pictures_identity,
    recognise,
    remove_old_leftovers,
)
from abaw_submit.faces.detect import DetectorSpec
from abaw_submit.faces.jobs import VideoJob, plan_jobs, wanted_tracks
from abaw_submit.faces.overrides import Override
from abaw_submit.faces.settings import CropSettings
from abaw_submit.faces.timeline import SLACK_ROWS
from abaw_submit.progress import Progress, quiet
from abaw_submit.store import Stage, write_text
from abaw_submit.workers import in_workers

SUMMARY_NAME = "summary.csv"


@dataclass(frozen=True)
class Workers:
    """Who does the work; never changes the result.

    Attributes:
        jobs: processes on this machine; 0: one per core.
    """

    jobs: int = 0


@dataclass(frozen=True)
class CropReport:
    """What `crop_corpus` did.

    Attributes:
        tracks: the record of each track, in name order.
        failures: item and reason, of what could not be done.
        fresh: False if everything was there already.
    """

    tracks: dict[str, dict[str, Any]]
    failures: list[tuple[str, str]]
    fresh: bool = True

    @property
    def damaged(self) -> list[str]:
        """A line for each track whose video did not decode wholly, or has more pictures than rows."""
        return [damage(track, r) for track, r in self.tracks.items() if is_damaged(r)]

    @property
    def faceless(self) -> list[str]:
        """Tracks without a face in any row: what is predicted for them comes from sound or from nothing."""
        return [track for track, record in self.tracks.items() if record["rows"] and not record["found"]]


_LOSSES = {
    "bad_packets": "bad packets",
    "lost": "rows that lost their picture",
    "without_row": "pictures beyond the last row",
}


def is_damaged(record: dict[str, Any]) -> bool:
    """Whether a track's record speaks of lost pictures, or of more pictures than rows."""
    return bool(record["bad_packets"] or record["lost"] or record["without_row"] > SLACK_ROWS)


def damage(track: str, record: dict[str, Any]) -> str:
    """What was lost of a track's video, in one line."""
    official = "" if record["official"] is None else f", {record['official']} official rows"
    return (
        f"{track}: {record['decoded']} pictures decode{official}; {record['bad_packets']} bad packets,"
        f" {record['lost']} rows lost their picture, {record['without_row']} pictures have no row."
    )


def crop_corpus(
    paths: Sequence[Path],
    out: Path,
    detector: DetectorSpec,
    settings: CropSettings,
    *,
    rows_from: Sequence[Path] = (),
    overrides: Sequence[Override] = (),
    workers: Workers | None = None,
    shard: str | None = None,
    progress: Progress = quiet,
) -> CropReport:
    """Crop all wanted tracks of all videos into `out`.

    Args:
        paths: media files and folders of them; for the detectors `openface` and `official` also what
            OpenFace or the organisers made.
        out: gets one folder per track, `summary.csv` and `record.json`.
        detector: which detector.
        settings: how.
        rows_from: annotation folders, templates, track lists; none: one track a video.
        overrides: a person's decisions.
        workers: who does the work.
        shard: "i/n": only every n-th video, and no record; a last run without it collects all.
        progress: shows how far it is.

    Raises:
        UserError: wrong settings, or no video has a wanted track.
    """
    jobs, failures = _plan(paths, detector.name, wanted_tracks(rows_from) if rows_from else None)
    tasks = [_task(job, out, detector, settings, overrides) for job in jobs]
    stage = Stage(
        "crop",
        out,
        settings={
            **asdict(settings),
            "detector": detector.name,
            "model": detector.identity,
            "tracks": {t: n for job in jobs for t, n in job.tracks.items()},
            "missing": [track for track, _ in failures],
            "pictures": {t: pictures_identity(p) for job in jobs for t, p in job.pictures.items()},
            "overrides": [asdict(o) for o in overrides],
        },
        inputs=[path for job in jobs for path in (job.video, job.table) if path is not None],
        reads=[*rows_from, *(paths if any(job.pictures for job in jobs) else ())],
        searches=paths,
        recognises=recognise,
    )
    if shard is not None:
        stage.share()
        return _report(_work(take_shard(tasks, shard), workers or Workers(), progress), failures)
    if stage.done():
        return CropReport({}, [], fresh=False)
    with stage:
        out.mkdir(parents=True, exist_ok=True)
        remove_old_leftovers(out)

        report = _report(_work(tasks, workers or Workers(), progress), failures)
        for item, why in report.failures:
            stage.fail(item, why)
        for track, record in report.tracks.items():
            stage.output(out / track / LEDGER_NAME)
            stage.output(out / track / TRACK_RECORD)
            for what in ("rows", "found", "filled"):
                stage.count(what, record[what])
            for what, name in _LOSSES.items():
                if record.get(what):
                    stage.count(name, record[what])
        stage.count("tracks", len(report.tracks))
        if report.faceless:
            stage.count("tracks without any face", len(report.faceless))
        write_text(out / SUMMARY_NAME, summary(report.tracks))
        stage.output(out / SUMMARY_NAME)
    return report


def _plan(
    paths: Sequence[Path], detector: str, tracks: dict[str, int | None] | None
) -> tuple[list[VideoJob], list[tuple[str, str]]]:
    """The jobs, and the tracks that cannot be done with the reason."""
    if detector in ("openface", "official"):
        sources = find_sources(paths)
        videos = list_videos(sources.videos) if sources.videos else []
        jobs, failures = plan_adoption(detector, videos, sources, tracks)
    else:
        jobs, missing = plan_jobs(list_videos(paths), tracks)
        failures = [(track, "no video of that name was given") for track in missing]
    odd = {job.name: why for job in jobs for track in job.tracks if (why := odd_name(track))}
    failures += sorted(odd.items())
    jobs = [job for job in jobs if job.name not in odd]
    if not jobs:
        first = f" First one: {failures[0][0]}, {failures[0][1]}." if failures else ""
        raise UserError(f"Nothing to crop in {', '.join(map(str, paths))}.{first}")
    return jobs, failures


def _task(
    job: VideoJob,
    out: Path,
    detector: DetectorSpec,
    settings: CropSettings,
    overrides: Sequence[Override],
) -> CropTask:
    own = tuple(o for o in overrides if o.track in job.tracks)
    return CropTask(job, out, detector, settings, own)


def _work(tasks: Sequence[CropTask], workers: Workers, progress: Progress) -> list[CropResult]:
    """Results in the order of the tasks' names; the largest videos are started first."""
    order = sorted(tasks, key=lambda t: (-_bytes(t.job), t.job.name))
    results = in_workers(crop_video, [(task,) for task in order], workers.jobs)
    results = progress(results, len(order), "crop")
    return sorted(results, key=lambda r: r.name)


def _bytes(job: VideoJob) -> int:
    return job.video.stat().st_size if job.video else 0


def _report(results: Sequence[CropResult], failures: list[tuple[str, str]]) -> CropReport:
    tracks = {t: r for result in results for t, r in result.tracks.items()}
    broken = [(result.name, result.problem) for result in results if result.problem]
    return CropReport({t: tracks[t] for t in sorted(tracks)}, failures + broken)


def summary(tracks: dict[str, dict[str, Any]]) -> str:
    """The corpus in one table: a line per track, then the total (and the longest gap of all)."""
    lines = [",".join(("track", *SUMMARY_COLUMNS))]
    for track, record in tracks.items():
        cells = ["" if record[c] is None else str(record[c]) for c in SUMMARY_COLUMNS]
        lines.append(",".join([track, *cells]))
    total = []
    for column in SUMMARY_COLUMNS:
        values = [r[column] for r in tracks.values() if r[column] is not None]
        whole = max if column == "longest_gap" else sum
        total.append(str(whole(values)) if values else "")
    lines.append(",".join(["total", *total]))
    return "\n".join(lines) + "\n"
