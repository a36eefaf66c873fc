"""`pretrain`, `finetune`, `train` and `predict`: the networks."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from abaw_submit.cli.common import (
    ANNOTATIONS_HELP,
    IN_DIR,
    IN_FILE,
    IN_PATH,
    OUT_PATH,
    Command,
    any_task_option,
    collect,
    settings_options,
)
from abaw_submit.cli.profile import profile_option
from abaw_submit.cli.progress import progress
from abaw_submit.models.settings import DecoderSize, SequenceSize, VitSize
from abaw_submit.tasks import Task
from abaw_submit.training.settings import FinetuneSettings, PretrainSettings, TmfSettings

if TYPE_CHECKING:
    from abaw_submit.training.fold import FoldInputs

_tracks_option = click.option(
    "--tracks",
    type=IN_FILE,
    multiple=True,
    help="Template or list of tracks to write test scores for; may be given again.",
)
_splits_option = click.option(
    "--splits", type=IN_FILE, help="Folds made by `split`; else the official split."
)
_fold_option = click.option("--fold", default="official", help='Name of the fold: "0", "1", … or "official".')


@click.command(cls=Command, extras=["faces", "train"])
@click.argument("crops", type=IN_DIR)
@click.option("--out", type=OUT_PATH, required=True, help="Checkpoint folder to make.")
@click.option("--start", type=IN_FILE, help="Weights in the official MAE format to go on from.")
@settings_options(VitSize)
@settings_options(DecoderSize)
@settings_options(PretrainSettings)
@click.option(
    "--not-aff-wild2", is_flag=True, help="The crops look like Aff-Wild2's, and are not: go on with them."
)
@profile_option
def pretrain(crops: Path, out: Path, start: Path | None, not_aff_wild2: bool, **options: Any) -> None:
    """Pre-train a masked autoencoder on a folder of face pictures (jpg, png, at any depth).

    The encoder learns to paint the 75 % of patches that are hidden. Use other faces than Aff-Wild2's:
    the rules forbid pre-training on it.

    \b
    Example: abaw-submit pretrain faces/ --out checkpoints/mae
    """
    from abaw_submit.training.pretrain import pretrain as work
    from abaw_submit.training.pretrain import refuse_aff_wild2

    if not not_aff_wild2:
        refuse_aff_wild2(crops)
    size, decoder = collect(VitSize, options), collect(DecoderSize, options)
    settings = collect(PretrainSettings, options)
    if work(crops, out, size=size, decoder=decoder, settings=settings, start=start, progress=progress):
        click.echo(f"Wrote {out}.")
    else:
        click.echo(f"{out} is up to date.")


@click.command(cls=Command, extras=["faces", "train"])
@any_task_option
@click.option("--crops", type=IN_DIR, required=True, help="Crops of the tracks.")
@click.option("--annotations", type=IN_PATH, required=True, help=ANNOTATIONS_HELP)
@_splits_option
@_fold_option
@click.option("--encoder", help="Pre-trained weights: checkpoint folder, .pth, .safetensors or timm name.")
@_tracks_option
@click.option("--out", type=OUT_PATH, required=True, help="Checkpoint folder to make.")
@settings_options(VitSize)
@settings_options(FinetuneSettings)
@profile_option
def finetune(task: Task, out: Path, encoder: str | None, **options: Any) -> None:
    """Fine-tune the encoder on single frames of one task; write its validation and test scores.

    Only rows that are valid and show a face are seen. With --encoder its own sizes hold and the size
    options are ignored.

    \b
    Example: abaw-submit finetune --task AU --crops crops/ --annotations annotations/ \\
               --encoder checkpoints/mae --out checkpoints/run/au/encoder
    """
    from abaw_submit.training.finetune import finetune as work

    size, settings = collect(VitSize, options), collect(FinetuneSettings, options)
    inputs = _fold_inputs((options["crops"],), options, encoder)
    score = work(task, inputs, out, size=None if encoder else size, settings=settings, progress=progress)
    _say(out, task, "single frames", inputs.fold, score)


@click.command(cls=Command, extras=["train"])
@any_task_option
@click.option("--features", type=IN_DIR, multiple=True, required=True, help="Features; may be given again.")
@click.option("--annotations", type=IN_PATH, required=True, help=ANNOTATIONS_HELP)
@_splits_option
@_fold_option
@_tracks_option
@click.option("--out", type=OUT_PATH, required=True, help="Checkpoint folder to make.")
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=1,
    help="Networks to train: --seed, then --seed + 1 in OUT_seed1, and so on; each is a member for `select`.",
)
@settings_options(SequenceSize)
@settings_options(TmfSettings)
@profile_option
def train(task: Task, out: Path, seeds: int, **options: Any) -> None:
    """Train a sequence model (the paper's TMF, or another) of one fold; write its scores.

    Features of several folders are concatenated per row. A killed training goes on where it was when the
    same command runs again. On several GPUs: torchrun --nproc-per-node N -m abaw_submit train …

    MTL: one model of all three tasks; labels that a row lacks take no part; it writes the scores of each. AH:
    attention over the rows of a clip, one score a video.

    \b
    Example: abaw-submit train --task VA --features features/visual --features features/logmel \\
               --annotations annotations/ --splits splits/va.json --fold 0 --out checkpoints/run/va/fold_0
    """
    from abaw_submit.training.tmf import train as work

    size, settings = collect(SequenceSize, options), collect(TmfSettings, options)
    inputs = _fold_inputs(tuple(options["features"]), options)
    for extra in range(seeds):
        folder = out if not extra else out.with_name(f"{out.name}_seed{extra}")
        own = dataclasses.replace(settings, seed=settings.seed + extra)
        score = work(task, inputs, folder, size=size, settings=own, progress=progress)
        _say(folder, task, size.model, inputs.fold, score)


@click.command(cls=Command, extras=["train"])
@click.option("--checkpoint", type=IN_DIR, required=True, help="A folder that `train` made.")
@click.option("--features", type=IN_DIR, multiple=True, required=True, help="Features, as in training.")
@click.option("--tracks", type=IN_PATH, required=True, help="Template or list of tracks.")
@click.option("--out", type=OUT_PATH, required=True, help="Scores to write: a .h5 file, or a folder of text.")
def predict(checkpoint: Path, features: tuple[Path, ...], tracks: Path, out: Path) -> None:
    """Scores of a trained fold for any tracks that have its features.

    \b
    Example: abaw-submit predict --checkpoint checkpoints/run/va/fold_0 --features features/visual \\
               --features features/logmel --tracks template.txt --out scores.h5
    """
    from abaw_submit.training.predict import predict as work

    done = work(checkpoint, features, tracks, out)
    if done is None:
        click.echo(f"{out} is up to date.")
    else:
        click.echo(f"Wrote {out}: {done[0].name} scores of {done[1]} rows.")


def _fold_inputs(
    sources: tuple[Path, ...], options: dict[str, Any], encoder: str | None = None
) -> FoldInputs:
    from abaw_submit.training.fold import FoldInputs

    names = ("annotations", "splits", "fold", "tracks")
    return FoldInputs(sources, **{name: options[name] for name in names}, encoder=encoder)


def _say(out: Path, task: Task, what: str, fold: str, score: float | None) -> None:
    from abaw_submit.models.checkpoint import is_main_process
    from abaw_submit.training.weights import weights_lines

    if not is_main_process():  # the first of those that torchrun started speaks for all
        return
    if score is None:
        click.echo(f"{out} is up to date.")
    else:
        for line in weights_lines(out):
            click.echo(line)
        click.echo(f"{task.name} {what}, fold {fold}: validation {task.metric} {score:.3f}. Wrote {out}.")
