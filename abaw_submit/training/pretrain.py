"""Masked-autoencoder pre-training on a folder of face pictures (arXiv 2303.10849, section 3.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from abaw_submit.arrays import Index
from abaw_submit.corpus.ledger import LEDGER_NAME
from abaw_submit.errors import UserError
from abaw_submit.models.device import copy_ahead
from abaw_submit.models.encoder import build_vit, size_of_state
from abaw_submit.models.mae import MaskedAutoencoder
from abaw_submit.models.settings import DecoderSize, VitSize
from abaw_submit.models.weights.read import read_weights
from abaw_submit.progress import Progress, quiet
from abaw_submit.store import Stage
from abaw_submit.training.augment import random_crop
from abaw_submit.training.job import SAVE_EVERY_S, Fit
from abaw_submit.training.pictures import Pictures, list_pictures, to_tensor
from abaw_submit.training.settings import PretrainSettings
from abaw_submit.training.stage import Training, run_training


class Pretraining(Training):
    """An encoder that learns to paint hidden patches.

    Args:
        folder: face pictures (jpg, png) at any depth.
        size: the encoder.
        decoder: the light decoder.
        settings: the training.
        start: weights of a whole masked autoencoder in the official format to go on from.
        progress: shows how far it is.
    """

    name = "pretrain"
    label = "pretrain"
    title = "MAE pre-training"

    def __init__(
        self,
        folder: Path,
        size: VitSize,
        decoder: DecoderSize,
        settings: PretrainSettings,
        start: Path | None,
        progress: Progress,
    ) -> None:
        self.folder, self.size, self.decoder, self.start = folder, size, decoder, start
        self.settings: PretrainSettings = settings
        self.progress = progress

    def identity(self) -> dict[str, Any]:
        return {**asdict(self.size), **asdict(self.decoder)}

    def inputs(self) -> list[Path]:
        return [self.folder, *([self.start] if self.start is not None else [])]

    def read(self) -> None:
        self.paths = list_pictures(self.folder)
        if not self.paths:
            raise UserError(f"{self.folder} holds no jpg or png pictures.")

    def build(self) -> MaskedAutoencoder:
        settings = self.settings
        # kept so large that the mean random part is seen at its own resolution
        side_px = round(self.size.img_size_px * 2 / (1 + settings.min_crop))
        self.pictures = Pictures(self.paths, side_px, settings.cache_gib, self.progress)
        self.model = MaskedAutoencoder(
            self.size, self.decoder, settings.mask_ratio, settings.normalise_pixels
        )
        self.model.checkpointing = settings.checkpointing
        if self.start is not None:
            _go_on_from(self.model, self.start, self.size)
        return self.model

    def items(self) -> int:
        return len(self.pictures)

    def prepare(self, device: torch.device) -> None:
        self.device = device

    def load(self, items: Index) -> Tensor:
        return copy_ahead(torch.from_numpy(self.pictures.batch(items)), self.device)

    def loss(self, model: nn.Module, batch: Tensor, step: int, device: torch.device) -> Tensor:
        images = to_tensor(batch, device)
        draw = int(torch.randint(2**62, ()))
        value: Tensor = model(random_crop(images, self.size.img_size_px, self.settings.min_crop, draw))
        return value

    def state(self) -> Mapping[str, Tensor]:
        return self.model.official_state()

    def config(self) -> dict[str, dict[str, Any]]:
        encoder = {"timm_name": "", **asdict(self.size)}
        return {"pretrain": asdict(self.settings), "decoder": asdict(self.decoder), "encoder": encoder}

    def finish(self, stage: Stage, done: Fit) -> None:
        stage.count("pictures", len(self.pictures))


# names of Aff-Wild2's tracks: 24-30-1920x1080-1, video45_1_left, 102
_TRACK = re.compile(r"(\d+-[\d.]+-\d+x\d+(-\d+)?|video\d+(_\d+)?|\d{1,3})(_left|_right)?")


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
        UserError: no pictures, or a loss that is not finite.
    """
    training = Pretraining(folder, size, decoder, settings, start, progress)
    return run_training(training, out, save_every_s=save_every_s)


def refuse_aff_wild2(folder: Path) -> None:
    """Refuse pictures that look like Aff-Wild2's: the rules forbid pre-training on it.

    Signs are a ledger beside the pictures, or folders named like its tracks that hold `00001.jpg`, …

    Raises:
        UserError: the sign, and the option for other data of the same looks.
    """
    places = [folder, *sorted(p for p in folder.iterdir() if p.is_dir())]
    places += [p for place in places[1:200] for p in sorted(place.iterdir())[:200] if p.is_dir()]
    for place in places:
        ledger = (place / LEDGER_NAME).is_file()
        named = _TRACK.fullmatch(place.name) is not None and any(place.glob("[0-9]" * 5 + ".jpg"))
        if ledger or named:
            sign = f"with a {LEDGER_NAME}" if ledger else "with pictures numbered as in Aff-Wild2"
            raise UserError(
                f"{place} looks like crops of a track, {sign}. The rules forbid pre-training on Aff-Wild2."
                "\nGive other faces; or, if these are not of Aff-Wild2, add --not-aff-wild2."
            )


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
