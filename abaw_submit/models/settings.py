"""Sizes of the networks. Standard library only: the command line turns the fields into options."""

from __future__ import annotations

from dataclasses import dataclass

from abaw_submit.config import setting
from abaw_submit.errors import UserError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


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
class TmfSize:
    """The temporal multi-modal fusion network (RECIPE, "TMF"; arXiv 2303.10849, section 3.3)."""

    conv_dim: int = setting(256, "channels of the 1x1 convolution that fuses the features of a row")
    model_dim: int = setting(128, "width of the transformer (d_model)")
    feedforward_dim: int = setting(128, "hidden width of the transformer's feed-forward part (d_ff)")
    layers: int = setting(4, "transformer encoder layers")
    heads: int = setting(4, "attention heads")
    head_dim: int = setting(64, "hidden width of the output head")
    dropout: float = setting(0.3, "dropout in the transformer")
