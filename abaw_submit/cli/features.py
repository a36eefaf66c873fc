"""`extract` and `extractors`: one vector per row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from abaw_submit.cli.common import IN_DIR, IN_PATH, OUT_PATH, Command, jobs_option, json_option
from abaw_submit.cli.profile import profile_option
from abaw_submit.cli.progress import progress
from abaw_submit.cli.weights import weight_options, weight_options_of
from abaw_submit.errors import ProblemsFound

SHOWN_FAILURES = 20


@click.command(cls=Command, extras=["faces"])
@click.option("--extractor", required=True, help="A name of `abaw-submit extractors`, or module:attribute.")
@click.option("--crops", type=IN_DIR, required=True, help="Crops with ledgers: rows, times and pictures.")
@click.option("--videos", type=IN_PATH, multiple=True, help="Folder of videos, for audio; may be repeated.")
@click.option("--out", type=OUT_PATH, required=True, help="Folder of the <track>.h5 files to write.")
@click.option("--checkpoint", help="The extractor's weights: folder, file or name.")
@click.option(
    "--also",
    type=(str, OUT_PATH),
    multiple=True,
    metavar="CHECKPOINT FOLDER",
    help="More weights and the folder for what they say, over one reading of the crops; may be repeated.",
)
@click.option(
    "--tracks", multiple=True, help="Only these: list, template, annotation folder or track; may be repeated."
)
@jobs_option
@click.option("--shard", help="Only part i of n of the tracks, as 3/8; a last run without it collects.")
@click.option("--batch", type=click.IntRange(min=1), default=64, help="Pictures at a time.")
@click.option("--device", default="auto", help="auto, cpu or cuda.")
@click.option(
    "--precision",
    type=click.Choice(["auto", "no", "fp16", "bf16"]),
    default="auto",
    help="Mixed precision of the network; auto: fp16 on a GPU, no on a CPU.",
)
@weight_options
@click.option("--views", default=1, help="Views of each crop: 2 adds its mirror image, more are jittered.")
@click.option(
    "--merge-views",
    type=click.Choice(["mean", "keep"]),
    default="mean",
    help="keep: beside the first, for training.",
)
@profile_option
def extract(
    extractor: str,
    crops: Path,
    videos: tuple[Path, ...],
    out: Path,
    checkpoint: str | None,
    also: tuple[tuple[str, Path], ...],
    tracks: tuple[str, ...],
    jobs: int,
    shard: str | None,
    batch: int,
    device: str,
    precision: str,
    views: int,
    merge_views: str,
    **said: Any,
) -> None:
    """One feature vector per row, cached in one HDF5 file per track.

    Visual extractors look at the crops; rows without one are marked not valid. Audio extractors listen to
    the videos, aligned by time with the rows; rows without sound are marked not valid. Tracks that are
    up to date are kept. With a GPU, --jobs threads decode for it. With --also, the encoders of several
    folds look at the crops in one reading; each folder gets what it would get alone.

    \b
    Example: abaw-submit extract --extractor mae --checkpoint checkpoints/demo/va/encoder_0 --crops crops/ --out features/mae
    """  # noqa: E501 - a command to copy
    from abaw_submit.corpus.tracklists import named_tracks
    from abaw_submit.features.extract import extract_several as work
    from abaw_submit.features.job import Extraction

    options = weight_options_of(said)
    wanted = [
        Extraction(
            extractor, to, weights, batch, device, precision, options=options, views=views, merge=merge_views
        )
        for weights, to in ((checkpoint, out), *also)
    ]
    reports = work(
        wanted,
        crops,
        videos=videos,
        tracks=named_tracks(tracks),
        jobs=jobs,
        shard=shard,
        progress=progress,
    )
    failures: dict[str, str] = {}  # mostly the same tracks for all: their crops cannot be read
    for job, report in zip(wanted, reports, strict=True):
        if not report.fresh:
            click.echo(f"{job.out} is up to date.")
            continue
        for note in report.notes:
            click.echo(f"weights: {note}", err=True)
        done = [r for r in report.results if r.problem is None]
        rows, valid = sum(r.rows for r in done), sum(r.valid_rows for r in done)
        new = sum(r.written for r in done)
        click.echo(f"{job.out}: {len(done)} tracks ({new} new), {rows} rows, {valid} of them valid.")
        failures.update(report.failures)
    for track, why in list(failures.items())[:SHOWN_FAILURES]:
        click.echo(f"{track}: {why}", err=True)
    if failures:
        raise ProblemsFound(f"{len(failures)} tracks could not be extracted; the rest is done.")


@click.command(cls=Command)
@json_option
def extractors(as_json: bool) -> None:
    """List the feature extractors, and the families of weights with where a team gets them.

    `abaw-submit weights FILE` says which family a file is and the command to extract with it.

    \b
    Example: abaw-submit extractors --json
    """
    import json

    from abaw_submit.features.registry import EXTRACTORS
    from abaw_submit.models.weights.families import FAMILIES
    from abaw_submit.models.weights.speech_families import SPEECH_FAMILIES

    if as_json:
        table = [
            {
                "name": e.name,
                "kind": e.kind,
                "dim": e.dim,
                "needs_weights": e.needs_weights,
                "weights": e.weights,
                "default": e.default_source,
            }
            for e in EXTRACTORS.values()
        ]
        click.echo(json.dumps(table, indent=2))
        return
    for e in EXTRACTORS.values():
        default = f" (default {e.default_source})" if e.default_source else ""
        click.echo(f"{e.name:11} {e.kind:7} {e.dim or 'any':>4}  weights: {e.weights}{default}")
    click.echo("\nPicture weights (picture, mae, timm):")
    for family in FAMILIES.values():
        click.echo(f"  {family.name:13} {family.title}\n                from {family.source}")
    click.echo("\nSpeech weights (speech, hubert, wav2vec2, wavlm, data2vec, whisper, audeering):")
    for speech in SPEECH_FAMILIES.values():
        click.echo(f"  {speech.name:13} {speech.title}\n                from {speech.source}")
