"""`hubert` and `wav2vec2`: the last hidden states of a speech model, about 50 vectors a second.

Long sound is cut into windows of about 20 s that overlap by 5 s, so memory does not grow with it; only the
middle of each window is kept. Models: HuBERT (Hsu et al. 2021), wav2vec 2.0 (Baevski et al. 2020).
"""

from __future__ import annotations

import logging
import math
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from abaw_submit.arrays import F32, F64
from abaw_submit.audio.align import Window
from abaw_submit.audio.sound import RATE_HZ
from abaw_submit.errors import UserError
from abaw_submit.models.device import inference, pick_device, weights_hash
from abaw_submit.store import fingerprint

VERSION = 1  # raise it when the numbers change
CORE_S, CONTEXT_S = 15.0, 2.5


class SpeechModel:
    """The extractor for models of one type.

    Args:
        source: a folder in the transformers format (config.json and weights) or a hub name.
        device: "auto", "cpu", "cuda".
        precision: "auto", "no", "fp16" or "bf16", as in `device.inference`.

    Raises:
        UserError: the weights cannot be had, or are of another type of model.
    """

    kind: ClassVar[str] = "audio"
    model_type: ClassVar[str]

    def __init__(self, source: str, device: str = "cpu", precision: str = "auto") -> None:
        self._device, self._precision = pick_device(device), precision
        model, normalise = _load(source, self.model_type)
        self._model, self._normalise = model.to(self._device), normalise
        self.dim = int(model.config.hidden_size)
        kernels, strides = model.config.conv_kernel, model.config.conv_stride
        self._hop = math.prod(strides)
        # samples that one vector hears directly: the receptive field of the convolutions
        self._field = 1 + sum((k - 1) * math.prod(strides[:i]) for i, k in enumerate(kernels))
        self.core_samples = round(CORE_S * RATE_HZ / self._hop) * self._hop
        self.context_samples = round(CONTEXT_S * RATE_HZ / self._hop) * self._hop
        settings = [VERSION, precision, CORE_S, CONTEXT_S, normalise]
        self.identity = fingerprint(self.model_type, settings, weights_hash(model))

    @torch.inference_mode()
    def vectors(self, window: Window) -> tuple[F64, F32]:
        """Hidden states whose centres lie in the window's core: (n,) seconds, (n, dim)."""
        samples = torch.from_numpy(np.ascontiguousarray(window.samples)).to(self._device)
        if len(samples) < self._field:
            return np.zeros(0), np.zeros((0, self.dim), np.float32)
        if self._normalise:
            samples = (samples - samples.mean()) / torch.sqrt(samples.var(unbiased=False) + 1e-7)
        with inference(self._device, self._precision):
            states = self._model(samples[None]).last_hidden_state[0]
        centres = window.first + np.arange(len(states)) * self._hop + (self._field - 1) / 2
        keep = (centres >= window.core[0]) & ((centres < window.core[1]) | window.is_last)
        return window.time_of(centres[keep]), states.float().cpu().numpy()[keep]


class Hubert(SpeechModel):
    """HuBERT."""

    model_type = "hubert"


class Wav2Vec2(SpeechModel):
    """wav2vec 2.0."""

    model_type = "wav2vec2"


def _load(source: str, model_type: str) -> tuple[Any, bool]:
    """The model in evaluation mode, and whether it wants sound of zero mean and unit variance."""
    transformers: Any = import_module("transformers")
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # it announces every retry
    local = Path(source).exists()
    try:
        config = transformers.AutoConfig.from_pretrained(source)
        if config.model_type != model_type:
            raise UserError(f"{source} is a {config.model_type} model; expected {model_type}.")
        model = transformers.AutoModel.from_pretrained(source, config=config)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0][:160]
        what = "loaded" if local else "had"
        raise UserError(
            f"The weights of {source} cannot be {what}: {reason}"
            "\nGive a folder with config.json and model.safetensors by --checkpoint."
        ) from None
    try:
        normalise = bool(transformers.AutoFeatureExtractor.from_pretrained(source).do_normalize)
    except (OSError, ValueError):  # weights without preprocessor_config.json: as the base models want it
        normalise = True
    return model.eval(), normalise
