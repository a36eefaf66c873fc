"""Speech models as extractors: hidden states of the layers that are asked for, about 50 vectors a second.

Long sound is cut into windows of about 20 s that overlap by 5 s, so memory does not grow with it; only the
middle 15 s of each are kept. docs/reference/weights.md says how far that is from the whole file at once.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch

from abaw_submit.arrays import F32, F64
from abaw_submit.audio.align import Window
from abaw_submit.audio.sound import RATE_HZ
from abaw_submit.models.device import inference, pick_device, resolve_precision, weights_hash
from abaw_submit.models.speech import running_mean, select_layers
from abaw_submit.models.weights.options import WeightOptions
from abaw_submit.models.weights.speech import load_speech
from abaw_submit.models.weights.speech_families import layer_groups
from abaw_submit.store import VERSIONS, fingerprint

VERSION = VERSIONS["extract speech"]


class SpeechModel:
    """The extractor for any speech model; the subclasses take those of one family.

    Args:
        source: what `load_speech` takes.
        device: "auto", "cpu", "cuda".
        precision: "auto", "no", "fp16" or "bf16", as in `device.inference`.
        options: `layers`, and `head_s` for the outputs of the model's own head in place of hidden states.

    Raises:
        UserError: the weights cannot be fetched, are of another family, or not exactly the model's.
    """

    kind: ClassVar[str] = "audio"
    family: ClassVar[str | None] = None
    default_head_s: ClassVar[float | None] = None

    def __init__(
        self,
        source: str,
        device: str = "cpu",
        precision: str = "auto",
        options: WeightOptions | None = None,
    ) -> None:
        options = options or WeightOptions()
        self._device = pick_device(device)
        self._precision = resolve_precision(self._device, precision)
        head_s = options.head_s or (self.default_head_s if options.layers is None else None)
        self._model = load_speech(source, with_head=head_s is not None, family=self.family).to(self._device)
        self._spec = spec = self._model.spec
        self._groups = layer_groups(options.layers, spec.layers)
        self._half = None if head_s is None else round(head_s / 2 * RATE_HZ / spec.hop)
        self.dim = len(spec.outputs) if head_s is not None else spec.dim * len(self._groups)
        self.notes = tuple(spec.notes)
        self.wants_level = spec.norm_eps is not None
        core_s, context_s = spec.window_s
        self.core_samples = round(core_s * RATE_HZ / spec.hop) * spec.hop
        self.context_samples = round(context_s * RATE_HZ / spec.hop) * spec.hop
        settings = [VERSION, self._precision, spec.window_s, self._groups, self._half, spec.config]
        self.identity = fingerprint("speech", settings, weights_hash(self._model))

    @torch.inference_mode()
    def vectors(self, window: Window) -> tuple[F64, F32]:
        """Vectors whose centres lie in the window's core: (n,) seconds, (n, dim)."""
        spec = self._spec
        samples = torch.from_numpy(np.ascontiguousarray(window.samples)).to(self._device)
        if len(samples) < spec.field_samples:
            return np.zeros(0), np.zeros((0, self.dim), np.float32)
        with inference(self._device, self._precision):
            states = select_layers(self._model(samples, window.level), self._groups)
            if self._half is not None and self._model.head is not None:
                states = self._model.head(running_mean(states, self._half))
        centres = window.first + np.arange(len(states)) * spec.hop + spec.offset
        keep = (centres >= window.core[0]) & ((centres < window.core[1]) | window.is_last)
        return window.time_of(centres[keep]), states.float().cpu().numpy()[keep]


class Hubert(SpeechModel):
    """HuBERT."""

    family = "hubert"


class Wav2Vec2(SpeechModel):
    """wav2vec 2.0."""

    family = "wav2vec2"


class WavLM(SpeechModel):
    """WavLM."""

    family = "wavlm"


class Data2Vec(SpeechModel):
    """data2vec audio."""

    family = "data2vec"


class Whisper(SpeechModel):
    """The encoder of Whisper."""

    family = "whisper"


class Audeering(SpeechModel):
    """audeering's arousal, dominance and valence, of the 2 s around each vector; states with `layers`."""

    family = "audeering"
    default_head_s = 2.0
