"""The stage `extract`: one features file per track, by any extractor."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from abaw_submit.corpus.ledger import LEDGER_NAME, read_ledger
from abaw_submit.corpus.tracklists import take_shard
from abaw_submit.corpus.tracks import find_video, split_track
from abaw_submit.errors import UserError
from abaw_submit.features.cache import (
    SCHEMA,
    feature_path,
    is_features_file,
    read_features,
    read_fingerprint,
    write_features,
)
from abaw_submit.features.registry import AUDIO, Entry, get_extractor
from abaw_submit.features.views import VERSION as VIEWS_VERSION
from abaw_submit.features.views import check_views
from abaw_submit.models.weights.options import WeightOptions
from abaw_submit.progress import Progress, quiet
from abaw_submit.signals import die_with_parent
from abaw_submit.store import Stage, fingerprint, read_record, sha256_file


@dataclass(frozen=True)
class Extraction:
    """What is extracted, and by whom.

    Attributes:
        extractor: name in the registry, or "module:attribute".
        out: folder of the features files.
        checkpoint: the extractor's weights; None takes its default ones.
        batch: pictures at a time.
        device: "auto", "cpu", "cuda".
        precision: "auto", "no", "fp16" or "bf16".
        threads: threads that decode pictures for one process.
        options: what is said of the weights beside where they are.
        views: views of each crop: 1 is the crop alone, 2 adds its mirror image, more are jittered.
        merge: "mean" of all views, or "keep" them beside the first, for training.
    """

    extractor: str
    out: Path
    checkpoint: str | None = None
    batch: int = 64
    device: str = "auto"
    precision: str = "auto"
    threads: int = 1
    options: WeightOptions = field(default_factory=WeightOptions)
    views: int = 1
    merge: str = "mean"


@dataclass(frozen=True)
class TrackResult:
    """What became of one track; `problem` is None if its file is there, whole and up to date."""

    track: str
    written: bool = False
    rows: int = 0
    valid_rows: int = 0
    problem: str | None = None


@dataclass(frozen=True)
class ExtractReport:
    """What became of all tracks, in name order; `fresh` is False when there was nothing to do.

    `notes` says what was assumed of the weights.
    """

    results: list[TrackResult]
    fresh: bool = True
    notes: tuple[str, ...] = ()

    @property
    def failures(self) -> list[tuple[str, str]]:
        """Tracks that have no features now, and why."""
        return [(r.track, r.problem) for r in self.results if r.problem is not None]


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
    """Features of every track; files whose fingerprint matches are kept, a track that fails is listed.

    Args:
        job: what, and where to.
        crops: folder of `<track>/` with ledgers, which give rows and times; visual extractors look at
            the pictures in it.
        videos: for audio extractors: folders of media files, or media files.
        tracks: only these; none: all that have crops.
        jobs: processes on a CPU, decoding threads with a GPU; 0: one per core. Never changes the result.
        shard: "i/n": only every n-th track, and no record; a last run without it collects all.
        progress: shows how far it is.

    Raises:
        UserError: wrong arguments, no tracks, or the extractor's weights cannot be loaded.
    """
    entry = get_extractor(job.extractor)
    source = entry.source(job.checkpoint)
    check_views(job.views, job.merge)
    if job.views > 1 and entry.kind == AUDIO:
        raise UserError(f'Extractor "{entry.name}" listens: it has no further views of a crop.')
    entry.check_options(job.options)
    if entry.kind == AUDIO and not videos:
        raise UserError(f'Extractor "{entry.name}" listens to the videos: give --videos.')
    wanted = sorted(set(tracks)) or cropped_tracks(crops)
    stage = Stage(
        "extract",
        job.out,
        settings={
            "extractor": entry.name,
            "checkpoint": None if _weight_files(source) == [Path(str(source))] else source,
            "precision": _precision(entry, job),
            "options": job.options.given(),
            "views": [job.views, job.merge],
            "tracks": wanted,
            "crops": None if read_record(crops) else [_crops_identity(crops / t) for t in wanted],
        },
        # crops that no stage made are known by the settings: hashing millions of pictures takes an hour
        inputs=[
            *([crops] if read_record(crops) else []),
            *_weight_files(source),
            *_videos_of(wanted, videos if entry.kind == AUDIO else ()),
        ],
        reads=[crops, *videos],
        recognises=is_features_file,
    )
    if shard is not None:
        stage.share()
        return ExtractReport(
            _work(job, take_shard(wanted, shard), crops, videos, jobs, progress), notes=_notes(entry, job)
        )
    if stage.done():
        return ExtractReport([], fresh=False)
    with stage:
        report = ExtractReport(_work(job, wanted, crops, videos, jobs, progress), notes=_notes(entry, job))
        for track, why in report.failures:
            stage.fail(track, why)
        for result in report.results:
            if result.problem is None:
                stage.output(feature_path(job.out, result.track))
                stage.count("tracks", 1)
                stage.count("rows", result.rows)
                stage.count("valid_rows", result.valid_rows)
    return report


def cropped_tracks(crops: Path) -> list[str]:
    """The tracks that have a ledger, in name order.

    Raises:
        UserError: there is none.
    """
    tracks = sorted(p.parent.name for p in crops.glob(f"*/{LEDGER_NAME}"))
    if not tracks:
        raise UserError(
            f"No <track>/{LEDGER_NAME} in {crops}. Make crops with `abaw-submit crop`, official ones too."
        )
    return tracks


def extract_track(job: Extraction, track: str, crops: Path, videos: Sequence[Path]) -> TrackResult:
    """Make one track's features file, unless it is there already.

    What is wrong with the track becomes `problem`; what is wrong with the extractor is raised.
    """
    die_with_parent()
    entry = get_extractor(job.extractor)
    extractor = _load(entry, entry.source(job.checkpoint), job.device, job.precision, job.options)
    out = feature_path(job.out, track)
    try:
        if not (crops / track / LEDGER_NAME).is_file():
            return TrackResult(track, problem=f"no {LEDGER_NAME} in {crops / track}")
        video = video_of(track, videos) if entry.kind == AUDIO else None
        key = fingerprint(
            "extract",
            SCHEMA,
            extractor.identity,
            _input_identity(crops / track, video, entry.kind),
            *([job.views, job.merge, VIEWS_VERSION] if job.views > 1 else []),
        )
        if read_fingerprint(out) == key:
            kept = read_features(out)
            return TrackResult(track, False, kept.rows, int(kept.valid.sum()))
        valid = _write(job, extractor, out, crops / track, video, key)
    except (UserError, OSError) as error:
        return TrackResult(track, problem=str(error))
    except (ValueError, RuntimeError, ArithmeticError, LookupError) as error:
        # what a damaged video or picture makes a decoder say must not stop the other tracks
        text = " ".join(str(error).split())[:200]
        return TrackResult(track, problem=f"{type(error).__name__}: {text}")
    return TrackResult(track, True, len(valid), int(valid.sum()))


def _write(job: Extraction, extractor: Any, out: Path, folder: Path, video: Path | None, key: str) -> Any:
    kept = None
    if video is not None:
        from abaw_submit.features.audio import audio_features

        ledger = read_ledger(folder)
        values, valid = audio_features(video, ledger.time_s, extractor)
    else:
        from abaw_submit.features.visual import visual_features

        more = {"batch": job.batch, "threads": job.threads}
        values, ledger = visual_features(folder, extractor, **more)
        valid = ledger.found
        others = [visual_features(folder, extractor, view=k, **more)[0] for k in range(2, job.views + 1)]
        if others and job.merge == "mean":
            values = np.asarray(np.mean([values, *others], axis=0, dtype=np.float32), np.float16)
        elif others:
            kept = np.stack(others)
    write_features(out, values, valid, ledger.time_s, extractor=job.extractor, fingerprint=key, views=kept)
    return valid


def _work(
    job: Extraction,
    tracks: Sequence[str],
    crops: Path,
    videos: Sequence[Path],
    jobs: int,
    progress: Progress,
) -> list[TrackResult]:
    """Results in name order. The extractor is loaded once in each process."""
    import joblib  # here: what is made elsewhere is brought into the cache without it

    jobs = jobs or joblib.cpu_count()
    if _on_gpu(job):  # one process feeds it
        job = Extraction(**{**vars(job), "threads": jobs})
        jobs = 1
    jobs = max(1, min(jobs, len(tracks)))
    results: Iterable[TrackResult]
    if jobs == 1:
        results = (extract_track(job, track, crops, videos) for track in tracks)
    else:
        largest_first = sorted(tracks, key=lambda t: (-_ledger_bytes(crops / t), t))
        parallel = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered")
        results = parallel(joblib.delayed(extract_track)(job, t, crops, videos) for t in largest_first)
    results = progress(results, len(tracks), f"extract {job.extractor}")
    return sorted(results, key=lambda r: r.track)


@lru_cache(maxsize=1)
def _load(entry: Entry, source: str | None, device: str, precision: str, options: WeightOptions) -> Any:
    if entry.needs_weights or entry.kind == AUDIO:
        import torch

        # one thread a process: the cores are used over tracks, and sums do not depend on their number
        torch.set_num_threads(1)
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(1)
    return entry.create(source, device, precision, options)


def _notes(entry: Entry, job: Extraction) -> tuple[str, ...]:
    """What was assumed of the weights; loading is kept, so this costs nothing where tracks were made here."""
    if not entry.options:
        return ()
    extractor = _load(entry, entry.source(job.checkpoint), job.device, job.precision, job.options)
    return tuple(getattr(extractor, "notes", ()))


def _precision(entry: Entry, job: Extraction) -> str:
    """The precision that is meant here, so that "auto" on a GPU and on a CPU are two results."""
    if not entry.needs_weights:
        return "no"
    from abaw_submit.models.device import pick_device, resolve_precision

    return resolve_precision(pick_device(job.device), job.precision)


def _on_gpu(job: Extraction) -> bool:
    if not get_extractor(job.extractor).needs_weights:
        return False
    from abaw_submit.models.device import pick_device

    return pick_device(job.device).type != "cpu"


def video_of(track: str, videos: Sequence[Path]) -> Path:
    """The media file of a track among files and folders: its exact name first, then without the side.

    Raises:
        UserError: there is none.
    """
    files = {p.stem: p for p in videos if p.is_file()}
    for name in (track, split_track(track)[0]):
        if name in files:
            return files[name]
    return find_video(track, [p for p in videos if p.is_dir()])


def _videos_of(tracks: Sequence[str], videos: Sequence[Path]) -> list[Path]:
    found = set()
    for track in tracks if videos else ():
        try:
            found.add(video_of(track, videos))
        except UserError:  # becomes this track's failure when its turn comes
            continue
    return sorted(found)


def _input_identity(folder: Path, video: Path | None, kind: str) -> str:
    if kind == AUDIO and video is not None:
        from abaw_submit.audio.avi import VERSION

        more = [VERSION] if video.suffix.lower() == ".avi" else []
        return fingerprint(sha256_file(video), read_ledger(folder).time_s, *more)
    return _crops_identity(folder)


def _crops_identity(folder: Path) -> str:
    """The bytes of the ledger and of the crops' record, which holds a hash of the pictures, and the
    pictures' names and sizes: reading them all again would take as long as extracting."""
    if not (folder / LEDGER_NAME).is_file():
        return ""
    pictures = sorted((p.name, p.stat().st_size) for p in folder.glob("*.jpg"))
    texts = [sha256_file(p) for p in sorted((*folder.glob("*.csv"), *folder.glob("*.json")))]
    return fingerprint(texts, pictures)


def _ledger_bytes(folder: Path) -> int:
    path = folder / LEDGER_NAME
    return path.stat().st_size if path.is_file() else 0


def _weight_files(source: str | None) -> list[Path]:
    """The file or folder that a source names, behind `timm:NAME@` or `torchaudio:NAME@` too."""
    if source is None:
        return []
    path = Path(source.partition("@")[2] if source.startswith(("timm:", "torchaudio:")) else source)
    return [path] if path.name and path.exists() else []
