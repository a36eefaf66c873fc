"""Masked-autoencoder pre-training on a folder of face pictures (arXiv 2303.10849, section 3.1)."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn

from abaw_submit.arrays import U8
from abaw_submit.corpus.ledger import LEDGER_NAME
from abaw_submit.errors import UserError
from abaw_submit.models.checkpoint import is_main_process, recognise, write_config, write_weights
from abaw_submit.models.encoder import build_vit, read_weights, size_of_state
from abaw_submit.models.mae import MaskedAutoencoder
from abaw_submit.models.settings import DecoderSize, VitSize
from abaw_submit.progress import Progress, quiet
from abaw_submit.store import Stage
from abaw_submit.training.augment import random_crop
from abaw_submit.training.loop import SAVE_EVERY_S, Job, fit, seed_step, shuffled
from abaw_submit.training.optim import parameter_groups
from abaw_submit.training.outputs import draw_curves, write_history
from abaw_submit.training.pictures import Pictures, list_pictures, to_tensor
from abaw_submit.training.settings import PretrainSettings


def pretrain(
    folder: Path,
    out: Path,
    *,
    size: VitSize,
    decoder: DecoderSize,
    settings: PretrainSettings,
    start: Path | None = None,
    progress: Progress = quiet,
    save_every_s: float = SAVE_EVERY_S,
) -> bool:
    """Train an encoder to paint hidden patches; write its checkpoint.

    Args:
        folder: face pictures (jpg, png) at any depth. The rules forbid Aff-Wild2 itself here.
        out: the checkpoint folder to make.
        size: the encoder.
        decoder: the light decoder.
        settings: the training.
        start: weights of a whole masked autoencoder in the official format to go on from.
        progress: shows how far it is.
        save_every_s: seconds between two states to go on from.

    Returns:
        False if it was done before.

    Raises:
        UserError: no pictures, settings that cannot work, or a loss that is not finite.
    """
    plain = {k: v for k, v in asdict(settings).items() if k != "cache_gib"}
    stage = Stage(
        "pretrain",
        out,
        settings={**plain, **asdict(size), **asdict(decoder)},
        inputs=[folder, *([start] if start is not None else [])],
        recognises=recognise,
    )
    if stage.done():
        return False
    paths = list_pictures(folder)
    if not paths:
        raise UserError(f"{folder} holds no jpg or png pictures.")
    with stage if is_main_process() else nullcontext():
        # kept so large that the mean random part is seen at its own resolution
        side = round(size.img_size_px * 2 / (1 + settings.min_crop))
        pictures = Pictures(paths, side, settings.cache_gib, progress)
        seed_step(settings.seed, 0)
        model = MaskedAutoencoder(size, decoder, settings.mask_ratio, settings.normalise_pixels)
        if start is not None:
            _go_on_from(model, start, size)

        def loss(network: nn.Module, pixels: U8, step: int, device: torch.device) -> Tensor:
            images = to_tensor(pixels, device)
            draw = int(torch.randint(2**62, ()))
            value: Tensor = network(random_crop(images, size.img_size_px, settings.min_crop, draw))
            return value

        job = Job(
            model,
            parameter_groups(model, settings),
            lambda epoch: shuffled(len(pictures), settings.seed, epoch),
            loss,
            out,
            stage.fingerprint,
            load=pictures.batch,
            label="pretrain",
            progress=progress,
            save_every_s=save_every_s,
        )
        done = fit(job, settings)
        if not is_main_process():
            return True
        model.load_state_dict(done.weights)
        stage.output(write_weights(out, model.official_state()))
        encoder = {"timm_name": "", **asdict(size)}
        sections = {"pretrain": asdict(settings), "decoder": asdict(decoder), "encoder": encoder}
        stage.output(write_config(out, sections))
        stage.output(write_history(out, done.history))
        stage.output(draw_curves(out, done.history, "MAE pre-training"))
        stage.count("pictures", len(pictures))
    return True


def holds_ledgers(folder: Path) -> bool:
    """Whether a folder looks like crops of tracks, which may be Aff-Wild2's."""
    return any(folder.glob(f"*/{LEDGER_NAME}"))


def _go_on_from(model: MaskedAutoencoder, start: Path, size: VitSize) -> None:
    state = read_weights(start)
    found = size_of_state(state, str(start), size.heads)
    if found != size:
        raise UserError(f"{start} is {found}; expected {size}. Give these sizes as options.")
    own = model.official_state()
    if set(own) <= set(state):
        model.load_official(state)
        return
    # an encoder alone: the decoder starts afresh
    wanted = build_vit(size, pooled=False).state_dict()
    missing = sorted(set(wanted) - set(state))
    if missing:
        raise UserError(f"{start}: {len(missing)} weights are missing, such as {missing[0]}.")
    model.load_official({**own, **{name: state[name] for name in wanted}})
