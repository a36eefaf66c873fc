"""Sizes of the networks. Standard library only: the command line turns the fields into options."""

from __future__ import annotations

from dataclasses import dataclass

from abaw_submit.config import Settings, setting
from abaw_submit.errors import UserError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
FUSIONS = ("concat", "gate")


@dataclass(frozen=True)
class VitSize(Settings):
    """A Vision Transformer. The defaults are ViT-Base/16 at 224 px, the size of the paper."""

    img_size_px: int = setting(224, "side of the input picture, px", ge=1)
    patch_px: int = setting(16, "side of one patch, px", ge=1)
    dim: int = setting(768, "width of a token", ge=1)
    depth: int = setting(12, "transformer blocks", ge=1)
    heads: int = setting(12, "attention heads", ge=1)

    def __post_init__(self) -> None:
        """Refuse sizes that do not fit each other: a picture that is not a whole number of patches, or a
        width that is not a whole number of heads."""
        super().__post_init__()
        if self.img_size_px % self.patch_px:
            raise UserError(
                f"A picture of {self.img_size_px} px is not a whole number of {self.patch_px} px patches."
            )
        if self.dim % self.heads:
            raise UserError(f"dim {self.dim} cannot be divided among {self.heads} heads.")


@dataclass(frozen=True)
class DecoderSize(Settings):
    """The light decoder of masked-autoencoder pre-training, dropped afterwards (He et al. 2022)."""

    decoder_dim: int = setting(512, "width of a token in the decoder", ge=1)
    decoder_depth: int = setting(8, "transformer blocks in the decoder", ge=1)
    decoder_heads: int = setting(16, "attention heads in the decoder", ge=1)


@dataclass(frozen=True)
class SequenceSize(Settings):
    """A sequence model. The defaults are the paper's TMF (arXiv 2303.10849, section 3.3)."""

    conv_dim: int = setting(256, "channels of the 1x1 convolution that fuses the features of a row", ge=1)
    model_dim: int = setting(128, "width of the sequence model (d_model)", ge=1)
    feedforward_dim: int = setting(128, "hidden width of a transformer's feed-forward part (d_ff)", ge=1)
    layers: int = setting(4, "layers of the sequence model", ge=1)
    heads: int = setting(4, "attention heads", ge=1)
    head_dim: int = setting(64, "hidden width of the output head", ge=1)
    dropout: float = setting(0.3, "dropout in the sequence model", ge=0, lt=1)
    model: str = setting("tmf", "tmf (the paper), gru, tcn, transformer (relative positions) or mamba")
    fusion: str = setting(
        "concat", "concat (the paper), or gate: gated cross-attention of picture and sound", choices=FUSIONS
    )
    modality_dropout: float = setting(
        0.0, "share of training clips that lose all pictures or all sound", ge=0, lt=1
    )
    kernel_rows: int = setting(5, "tcn: rows of a convolution; layer k looks 2^k times as far", ge=1)
    reach_rows: int = setting(64, "transformer: farthest distance that is told apart", ge=1)

    def __post_init__(self) -> None:
        """Refuse sizes that do not fit each other: a width that is not a whole number of heads, an even
        kernel."""
        super().__post_init__()
        for name in ("model_dim", "conv_dim") if self.fusion == "gate" else ("model_dim",):
            if getattr(self, name) % self.heads:
                raise UserError(f"{name} {getattr(self, name)} cannot be divided among {self.heads} heads.")
        if self.model == "gru" and self.model_dim % 2:
            raise UserError(f"model_dim {self.model_dim} cannot be divided between two directions.")
        if self.kernel_rows % 2 == 0:
            raise UserError(f"--kernel-rows {self.kernel_rows}: expected an odd number.")
