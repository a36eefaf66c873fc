"""Sizes of the networks. Standard library only: the command line turns the fields into options."""

from __future__ import annotations

from dataclasses import dataclass

from abaw_submit.config import setting
from abaw_submit.errors import UserError, suggest

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
FUSIONS = ("concat", "gate")


@dataclass(frozen=True)
class VitSize:
    """A Vision Transformer. The defaults are ViT-Base/16 at 224 px, the size of the paper."""

    img_size_px: int = setting(224, "side of the input picture, px")
    patch_px: int = setting(16, "side of one patch, px")
    dim: int = setting(768, "width of a token")
    depth: int = setting(12, "transformer blocks")
    heads: int = setting(12, "attention heads")

    def check(self) -> None:
        """Refuse sizes that do not fit each other.

        Raises:
            UserError: a size below 1, a picture that is no whole number of patches, or a width that is no
                whole number of heads.
        """
        for name in ("img_size_px", "patch_px", "dim", "depth", "heads"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}; expected at least 1.")
        if self.img_size_px % self.patch_px:
            raise UserError(
                f"A picture of {self.img_size_px} px is no whole number of {self.patch_px} px patches."
            )
        if self.dim % self.heads:
            raise UserError(f"dim {self.dim} cannot be divided among {self.heads} heads.")


@dataclass(frozen=True)
class DecoderSize:
    """The light decoder of masked-autoencoder pre-training, dropped afterwards (He et al. 2022)."""

    decoder_dim: int = setting(512, "width of a token in the decoder")
    decoder_depth: int = setting(8, "transformer blocks in the decoder")
    decoder_heads: int = setting(16, "attention heads in the decoder")


@dataclass(frozen=True)
class SequenceSize:
    """A sequence model. The defaults are the paper's TMF (RECIPE, "TMF"; arXiv 2303.10849, section 3.3)."""

    conv_dim: int = setting(256, "channels of the 1x1 convolution that fuses the features of a row")
    model_dim: int = setting(128, "width of the sequence model (d_model)")
    feedforward_dim: int = setting(128, "hidden width of a transformer's feed-forward part (d_ff)")
    layers: int = setting(4, "layers of the sequence model")
    heads: int = setting(4, "attention heads")
    head_dim: int = setting(64, "hidden width of the output head")
    dropout: float = setting(0.3, "dropout in the sequence model")
    model: str = setting("tmf", "tmf (the paper), gru, tcn, transformer (relative positions) or mamba")
    fusion: str = setting("concat", "concat (the paper), or gate: gated cross-attention of picture and sound")
    modality_dropout: float = setting(0.0, "share of training clips that lose all pictures or all sound")
    kernel_rows: int = setting(5, "tcn: rows of a convolution; layer k looks 2^k times as far")
    reach_rows: int = setting(64, "transformer: farthest distance that is told apart")

    def check(self) -> None:
        """Refuse sizes that do not fit each other.

        Raises:
            UserError: a size below 1, a width that is no whole number of heads, an even kernel, a share out
                of range, or an unknown fusion.
        """
        for name in ("conv_dim", "model_dim", "feedforward_dim", "layers", "heads", "head_dim", "reach_rows"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}; expected at least 1.")
        for name in ("model_dim", "conv_dim") if self.fusion == "gate" else ("model_dim",):
            if getattr(self, name) % self.heads:
                raise UserError(f"{name} {getattr(self, name)} cannot be divided among {self.heads} heads.")
        if self.model == "gru" and self.model_dim % 2:
            raise UserError(f"model_dim {self.model_dim} cannot be divided between two directions.")
        if self.kernel_rows < 1 or self.kernel_rows % 2 == 0:
            raise UserError(f"kernel_rows is {self.kernel_rows}; expected an odd number.")
        for name in ("dropout", "modality_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}; expected 0 or more, below 1.")
        if self.fusion not in FUSIONS:
            raise UserError(f'Unknown fusion "{self.fusion}". {suggest(self.fusion, FUSIONS)}')
