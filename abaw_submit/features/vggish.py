"""`vggish` and `vggish-pca`: VGGish embeddings, four a second, each of the 0.96 s around its time."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch

from abaw_submit.arrays import F32, F64
from abaw_submit.audio.align import Window
from abaw_submit.audio.sound import RATE_HZ
from abaw_submit.models.device import inference, pick_device, resolve_precision, weights_hash
from abaw_submit.models.vggish import HOP, PATCH_SAMPLES, load_vggish, log_mel_patches
from abaw_submit.store import VERSIONS, fingerprint

VERSION = VERSIONS["extract vggish"]
HOP_FRAMES = 24  # 0.24 s between patches; rows between two patches are interpolated
BATCH = 64


class VggishEmbeddings:
    """The extractor.

    Args:
        source: a weights file or a folder of them.
        device: "auto", "cpu", "cuda".
        precision: "auto", "no", "fp16" or "bf16", as in `device.inference`.

    Raises:
        UserError: no VGGish weights there.
    """

    kind: ClassVar[str] = "audio"
    pca: ClassVar[bool] = False
    core_samples = round(15 * RATE_HZ / (HOP * HOP_FRAMES)) * HOP * HOP_FRAMES
    context_samples = 5 * HOP * HOP_FRAMES  # more than one patch

    def __init__(self, source: str, device: str = "cpu", precision: str = "auto") -> None:
        self._device = pick_device(device)
        self._precision = resolve_precision(self._device, precision)
        self._model = load_vggish(source).to(self._device)
        self.dim = self._model.dim
        if self.pca:
            self._model.postprocess(
                torch.zeros(1, self.dim, device=self._device)
            )  # refuse weights without it
        self.identity = fingerprint(
            "vggish", VERSION, self._precision, HOP_FRAMES, self.pca, weights_hash(self._model)
        )

    @torch.inference_mode()
    def vectors(self, window: Window) -> tuple[F64, F32]:
        """Embeddings of the patches whose centres lie in the window's core: (n,) seconds, (n, 128)."""
        patches = log_mel_patches(window.samples, HOP_FRAMES)
        centres = window.first + np.arange(len(patches)) * HOP * HOP_FRAMES + PATCH_SAMPLES / 2
        # the only patch of a very short sound is centred beyond its end
        keep = (centres >= window.core[0]) & ((centres < window.core[1]) | window.is_last)
        found = [np.zeros((0, self.dim), np.float32)]
        wanted = patches[keep]
        for at in range(0, len(wanted), BATCH):
            batch = torch.from_numpy(wanted[at : at + BATCH]).to(self._device)
            with inference(self._device, self._precision):
                embeddings = self._model(batch).float()
            if self.pca:
                embeddings = self._model.postprocess(embeddings)
            found.append(embeddings.cpu().numpy())
        return window.time_of(centres[keep]), np.concatenate(found)


class VggishPca(VggishEmbeddings):
    """With the PCA, whitening and 8-bit quantisation of the AudioSet release."""

    pca = True
