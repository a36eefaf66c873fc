"""The stage `extract`: one features file per track, by any extractor, or several over one reading."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from abaw_submit.corpus.tracklists import take_shard
from abaw_submit.errors import UserError
from abaw_submit.features.cache import feature_path, is_features_file
from abaw_submit.features.job import Extraction, ExtractReport, TrackResult, load_extractors
from abaw_submit.features.sources import cropped_tracks, crops_identity, ledger_bytes, videos_of, weight_files
from abaw_submit.features.track import extract_track
from abaw_submit.prefetch import ahead
from abaw_submit.progress import Progress, quiet
from abaw_submit.store import Stage, read_record
from abaw_submit.workers import cores, in_workers

_TRACKS_AT_ONCE = 2  # on a GPU: one is read and written while the other is computed


def extract(
    job: Extraction,
    crops: Path,
    *,
    videos: Sequence[Path] = (),
    tracks: Sequence[str] = (),
    jobs: int = 1,
    shard: str | None = None,
    progress: Progress = quiet,
) -> ExtractReport:
    """Features of every track by one extractor; see `extract_several`."""
    more = {"videos": videos, "tracks": tracks, "jobs": jobs, "shard": shard, "progress": progress}
    return extract_several([job], crops, **more)[0]  # type: ignore[arg-type]


def extract_several(
    wanted: Sequence[Extraction],
    crops: Path,
    *,
    videos: Sequence[Path] = (),
    tracks: Sequence[str] = (),
    jobs: int = 1,
    shard: str | None = None,
    progress: Progress = quiet,
) -> list[ExtractReport]:
    """Features of every track by several extractors, such as the encoders of all folds, over one reading.

    Each has a folder and a record of its own, with the bytes that it would have if it had run alone. Files
    whose fingerprint matches are kept, a track that fails is listed.

    Args:
        wanted: what, and where to; all look at crops or all listen, with the same batch and device.
        crops: folder of `<track>/` with ledgers, which give rows and times; visual extractors look at
            the pictures in it.
        videos: for audio extractors: folders of media files, or media files.
        tracks: only these; none: all that have crops.
        jobs: processes on a CPU, decoding threads with a GPU; 0: one per core. Never changes the result.
        shard: "i/n": only every n-th track, and no record; a last run without it collects all.
        progress: shows how far it is.

    Returns:
        What became of each extraction, in the order given.

    Raises:
        UserError: wrong arguments, no tracks, or the weights of an extractor cannot be loaded.
    """
    for job in wanted:
        job.check(videos)
    if len({(j.listens, j.batch, j.device) for j in wanted}) != 1 or len({j.out for j in wanted}) < len(
        wanted
    ):
        raise UserError(
            "Extractors of one reading need folders of their own, and the same --batch and --device;"
            " all look at crops, or all listen."
        )
    listed = sorted(set(tracks)) or cropped_tracks(crops)
    # crops that no stage made are known by the settings: hashing millions of pictures takes an hour
    known = {} if read_record(crops) else {track: crops_identity(crops / track) for track in listed}
    stages = [_stage(job, crops, videos, listed, known) for job in wanted]
    work = _Work(crops, videos, {} if wanted[0].listens else known, jobs, progress)
    if shard is not None:
        for stage in stages:
            stage.share()
        return work.reports(wanted, take_shard(listed, shard))
    reports = [ExtractReport([], fresh=False) for _ in wanted]
    with ExitStack() as owned:
        todo = []
        # in the order of their names, so that no two processes wait for each other
        for k in sorted(range(len(wanted)), key=lambda k: str(wanted[k].out.absolute())):
            if not stages[k].done():
                owned.enter_context(stages[k])
                todo.append(k)
        made = work.reports([wanted[k] for k in todo], listed) if todo else []
        for k, report in zip(todo, made, strict=True):
            reports[k] = report
            _note(stages[k], wanted[k].out, report)
    return reports


def _stage(
    job: Extraction, crops: Path, videos: Sequence[Path], tracks: Sequence[str], known: dict[str, str]
) -> Stage:
    recorded = [] if known else [crops]
    return Stage(
        "extract",
        job.out,
        settings={
            "extractor": job.entry.name,
            "checkpoint": None if weight_files(job.source) == [Path(str(job.source))] else job.source,
            "precision": job.resolved_precision(),
            "options": job.options.given(),
            "views": [job.views, job.merge],
            "tracks": tracks,
            "crops": [known[track] for track in tracks] if known else None,
        },
        inputs=[*recorded, *weight_files(job.source), *videos_of(tracks, videos if job.listens else ())],
        reads=[crops],
        searches=videos,
        recognises=is_features_file,
    )


def _note(stage: Stage, out: Path, report: ExtractReport) -> None:
    """What became of the tracks, for the record."""
    for track, why in report.failures:
        stage.fail(track, why)
    for result in report.results:
        if result.problem is None:
            stage.output(feature_path(out, result.track))
            stage.count("tracks", 1)
            stage.count("rows", result.rows)
            stage.count("valid_rows", result.valid_rows)


def _in_threads(
    one: Callable[[str], list[TrackResult]], tracks: Sequence[str]
) -> Iterator[list[TrackResult]]:
    with ThreadPoolExecutor(_TRACKS_AT_ONCE) as pool:
        yield from ahead(pool, one, tracks, _TRACKS_AT_ONCE)


class _Work:
    """Tracks over processes, or over threads that feed one GPU; extractors are loaded once in each process.

    Args:
        crops: folder of the tracks' folders.
        videos: for extractors that listen.
        known: identities of crops that are known already.
        jobs: processes or decoding threads; 0: one per core.
        progress: shows how far it is.
    """

    def __init__(
        self, crops: Path, videos: Sequence[Path], known: dict[str, str], jobs: int, progress: Progress
    ) -> None:
        self.crops, self.videos, self.known = crops, videos, known
        self.jobs, self.progress = jobs, progress

    def reports(self, wanted: Sequence[Extraction], tracks: Sequence[str]) -> list[ExtractReport]:
        """What became of each extraction, tracks in name order."""
        label = f"extract {wanted[0].extractor}" + (f" ({len(wanted)} folders)" if len(wanted) > 1 else "")
        done = list(self.progress(self._results(wanted, tracks), len(tracks), label))
        each = [sorted((results[k] for results in done), key=lambda r: r.track) for k in range(len(wanted))]
        return [ExtractReport(own, notes=note) for own, note in zip(each, self._notes(wanted), strict=True)]

    def _results(self, wanted: Sequence[Extraction], tracks: Sequence[str]) -> Iterable[list[TrackResult]]:
        on_gpu = any(job.on_gpu() for job in wanted)
        if on_gpu:  # one process feeds it
            wanted = [replace(job, threads=self.jobs or cores()) for job in wanted]
            load_extractors(wanted)

        def one(track: str) -> list[TrackResult]:
            return extract_track(wanted, track, self.crops, self.videos, self.known.get(track))

        if on_gpu:
            return _in_threads(one, tracks)
        largest_first = sorted(tracks, key=lambda t: (-ledger_bytes(self.crops / t), t))
        calls = [(wanted, t, self.crops, self.videos, self.known.get(t)) for t in largest_first]
        return in_workers(extract_track, calls, self.jobs)

    @staticmethod
    def _notes(wanted: Sequence[Extraction]) -> list[tuple[str, ...]]:
        """What was assumed of the weights, which are still loaded where tracks were made here."""
        if not any(job.entry.options for job in wanted):
            return [() for _ in wanted]
        return [tuple(getattr(extractor, "notes", ())) for extractor in load_extractors(wanted)]
