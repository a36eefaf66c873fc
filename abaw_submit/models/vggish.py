"""VGGish: 128 numbers for 0.96 s of sound (Hershey et al. 2017, "CNN architectures for large-scale audio
classification"; the front-end and the layers as published with AudioSet).

Weights are loaded under the names of the published PyTorch port: `features.*`, `embeddings.*`, and for
the optional post-processing `pca_eigen_vectors` and `pca_means`.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from abaw_submit.allowance import check_zip
from abaw_submit.arrays import F32
from abaw_submit.audio.mel import mel_spectrum
from abaw_submit.audio.sound import Samples
from abaw_submit.errors import UserError
from abaw_submit.models.weights.blueprint import load_strictly

BANDS, LOW_HZ, HIGH_HZ = 64, 125.0, 7500.0
FRAME, HOP, FFT_SIZE = 400, 160, 512  # 25 ms frames every 10 ms at 16 kHz
PATCH_FRAMES = 96  # 0.96 s
PATCH_SAMPLES = (PATCH_FRAMES - 1) * HOP + FRAME
LOG_OFFSET = 0.01
QUANTISE_MIN, QUANTISE_MAX = -2.0, 2.0
WIDTHS = (64, 128, 256, 512)  # channels; the third and the fourth have two convolutions
HIDDEN, DIM = 4096, 128
_CONVOLUTIONS = (0, 3, 6, 8, 11, 13)  # their places among the layers, as published


class VGGish(nn.Module):
    """Log-mel patches to embeddings.

    Args:
        widths: channels of the four stages; others than the published ones are for tests.
        hidden: width of the two hidden layers.
        dim: length of the embedding.
    """

    def __init__(
        self, widths: tuple[int, int, int, int] = WIDTHS, hidden: int = HIDDEN, dim: int = DIM
    ) -> None:
        super().__init__()
        a, b, c, d = widths
        self.features = nn.Sequential(
            *_stage(1, a), *_stage(a, b), *_stage(b, c, c), *_stage(c, d, d)
        )  # fmt: skip
        size = d * (PATCH_FRAMES // 16) * (BANDS // 16)
        self.embeddings = nn.Sequential(
            nn.Linear(size, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, dim),
            nn.ReLU(),
        )
        self.dim = dim
        self.pca_eigen_vectors: Tensor | None
        self.pca_means: Tensor | None
        self.register_buffer("pca_eigen_vectors", None)
        self.register_buffer("pca_means", None)

    def forward(self, patches: Tensor) -> Tensor:
        """Embeddings of log-mel patches.

        Args:
            patches: (batch, 96, 64), from `log_mel_patches`.

        Returns:
            (batch, 128), not negative.
        """
        maps = self.features(patches[:, None])
        # channels last before flattening: the published weights come from TensorFlow
        embedding: Tensor = self.embeddings(maps.permute(0, 2, 3, 1).flatten(1))
        return embedding

    def postprocess(self, embeddings: Tensor) -> Tensor:
        """PCA with whitening, clipped to [-2, 2] and quantised to 8 bits, as AudioSet releases them.

        Args:
            embeddings: (batch, 128).

        Returns:
            (batch, 128), whole numbers 0..255.

        Raises:
            UserError: the weights came without PCA parameters.
        """
        if self.pca_eigen_vectors is None or self.pca_means is None:
            raise UserError(
                "These VGGish weights have no PCA parameters (pca_eigen_vectors, pca_means)."
                " Use the extractor vggish, which needs none."
            )
        rotated = (embeddings - self.pca_means.reshape(1, -1)) @ self.pca_eigen_vectors.T
        scaled = (rotated.clamp(QUANTISE_MIN, QUANTISE_MAX) - QUANTISE_MIN) / (QUANTISE_MAX - QUANTISE_MIN)
        return torch.round(scaled * 255)


def _stage(channels: int, *widths: int) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for width in widths:
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
        channels = width
    return [*layers, nn.MaxPool2d(2)]


def load_vggish(source: Path | str) -> VGGish:
    """VGGish with trained weights, in evaluation mode.

    Args:
        source: a weights file (.pth, .safetensors, .npz), or a folder of them, as the weights and the PCA
            parameters are released in two files.

    Raises:
        UserError: no file, or weights that are not VGGish's.
    """
    from abaw_submit.models.weights.read import read_weights

    path = Path(source)
    files = [path]
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.suffix in (".pth", ".pt", ".safetensors", ".npz"))
    if not files or not files[0].is_file():
        raise UserError(
            f"No VGGish weights at {path}: expected a .pth, .safetensors or .npz file, or a folder of them."
        )
    state: dict[str, Tensor] = {}
    for file in files:
        found = _read_npz(file) if file.suffix == ".npz" else read_weights(file)
        state.update({name.removeprefix("pproc."): tensor for name, tensor in found.items()})
    return vggish_from_state(state, str(path))


def _read_npz(path: Path) -> dict[str, Tensor]:
    """Named arrays, as AudioSet releases the PCA parameters; nothing pickled is read."""
    check_zip(path)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: torch.from_numpy(np.asarray(arrays[name])) for name in arrays.files}
    except (OSError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is no .npz file of plain arrays ({type(error).__name__}).") from None


def vggish_from_state(state: Mapping[str, Tensor], where: str) -> VGGish:
    """VGGish from named weights; widths are read off them.

    Raises:
        UserError: weights are missing or do not fit.
    """
    try:
        convolutions = [state[f"features.{i}.weight"].shape[0] for i in _CONVOLUTIONS]
        a, b, c, _, d, _ = convolutions
        hidden, dim = state["embeddings.0.weight"].shape[0], state["embeddings.4.weight"].shape[0]
    except KeyError as error:
        raise UserError(
            f"{where} holds no VGGish weights: {error.args[0]} is missing."
            " Expected features.* and embeddings.*."
        ) from None
    model = VGGish((a, b, c, d), hidden, dim)
    for name in ("pca_eigen_vectors", "pca_means"):
        if name in state:
            setattr(model, name, state[name].float())
    load_strictly(model, dict(state), where)
    if (model.pca_eigen_vectors is None) != (model.pca_means is None):
        raise UserError(f"{where} holds one of pca_eigen_vectors and pca_means; expected both or none.")
    if model.pca_eigen_vectors is not None and tuple(model.pca_eigen_vectors.shape) != (dim, dim):
        raise UserError(
            f"{where}: pca_eigen_vectors is {tuple(model.pca_eigen_vectors.shape)}; expected {(dim, dim)}."
        )
    return model.eval()


def log_mel(samples: Samples) -> F32:
    """The published front-end: magnitudes of 25 ms Hann frames in 64 mel bands, logarithm with an offset.

    Args:
        samples: (n,) in [-1, 1] at 16 kHz.

    Returns:
        (frames, 64), one frame every 10 ms.
    """
    mel = mel_spectrum(
        samples,
        bands=BANDS,
        low_hz=LOW_HZ,
        high_hz=HIGH_HZ,
        window=FRAME,
        hop=HOP,
        fft_size=FFT_SIZE,
        power=1,
    )
    return np.asarray(np.log(mel + LOG_OFFSET), np.float32)


def log_mel_patches(samples: Samples, hop_frames: int = PATCH_FRAMES) -> F32:
    """Patches of 96 frames; sound shorter than one patch is filled up with silence.

    Args:
        samples: (n,) in [-1, 1] at 16 kHz.
        hop_frames: frames between patches; 96, as published, does not overlap.

    Returns:
        (patches, 96, 64).
    """
    if len(samples) < PATCH_SAMPLES:
        samples = np.pad(samples, (0, PATCH_SAMPLES - len(samples)))
    frames = log_mel(samples)
    view = np.lib.stride_tricks.sliding_window_view(frames, PATCH_FRAMES, axis=0)
    return view[::hop_frames].transpose(0, 2, 1).copy()
