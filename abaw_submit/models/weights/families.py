"""The families of picture weights: what their files do not say. Standard library only.

Numbers are those of the families' own code and cards: head counts of the published sizes, the epsilon of
their norms, their pictures' mean and deviation, the margin of the face crops they were trained on.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from abaw_submit.models.settings import IMAGENET_MEAN, IMAGENET_STD

HALF = (0.5, 0.5, 0.5)
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
# VGGFace2's, of the published FSFM and FS-VFM encoders, as pretrain_ds_mean_std.txt beside them says
FSFM_MEAN = (0.5482207536697388, 0.42340534925460815, 0.3654651641845703)
FSFM_STD = (0.2789176106452942, 0.2438540756702423, 0.23493893444538116)
_MAE_HEADS = {768: 12, 1024: 16, 1280: 16}


@dataclass(frozen=True)
class Family:
    """What is common to the weights of one origin.

    Attributes:
        name: short name.
        title: what it is, and whose.
        recognised_by: the names in a file that tell it.
        source: where a team gets it.
        licence: as the authors state it, where known; a note, no legal advice.
        pool: how its own code makes one vector.
        mean: of its pictures.
        std: of its pictures.
        heads: width to attention heads, of the published sizes.
        eps: of its LayerNorms.
        activation: of its feed-forward layers.
        crop: the face crops it was trained on.
    """

    name: str
    title: str
    recognised_by: str
    source: str
    licence: str
    pool: str
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    heads: dict[int, int] = field(default_factory=dict)
    eps: float = 1e-6
    activation: str = "gelu"
    crop: str = "any; the faces are not its own training data"


FAMILIES = {
    family.name: family
    for family in (
        Family(
            "own",
            "this project's `pretrain` and `finetune`",
            "config.toml beside model.safetensors",
            "checkpoints/ of a run",
            "yours",
            "avg",
            heads=_MAE_HEADS,
            crop="those it was trained on, the same `crop --margin`",
        ),
        Family(
            "mae",
            "masked autoencoders in the official format: MAE, MAE-Face, FMAE",
            "decoder_*, mask_token, or fixed sine-cosine positions",
            "github.com/facebookresearch/mae, github.com/FuxiVirtualHuman/MAE-Face (releases), "
            "github.com/forever208/FMAE-IAT",
            "MAE: CC BY-NC 4.0; the others: see their pages",
            "avg",
            heads=_MAE_HEADS,
            crop="MAE-Face, FMAE: face crops; see their pages for the margin",
        ),
        Family(
            "mae-finetuned",
            "fine-tuned in the official MAE code: MAE-Face, FMAE-IAT (with ID_head)",
            "fc_norm.* in place of norm.*",
            "as mae",
            "as mae",
            "avg",
            heads=_MAE_HEADS,
            crop="as mae",
        ),
        Family(
            "fsfm",
            "FSFM and FS-VFM, face security models",
            "rep_decoder_*, or online_encoder.*",
            "huggingface.co/Wolowolo/fsfm-3c (checkpoint-*.pth, not checkpoint-te-*; "
            "pretrain_ds_mean_std.txt too)",
            "CC BY-NC 4.0",
            "avg",
            mean=FSFM_MEAN,
            std=FSFM_STD,
            heads={384: 12, **_MAE_HEADS},
            crop="dlib's face box and 30 % more, as its authors say: `crop --margin 0.3`",
        ),
        Family(
            "dinov2",
            "DINOv2, with and without registers",
            "blocks.*.ls1.gamma with pos_embed",
            "github.com/facebookresearch/dinov2",
            "Apache-2.0",
            "cls",
            heads={384: 6, 768: 12, 1024: 16, 1536: 24},
        ),
        Family(
            "dinov3",
            "DINOv3",
            "storage_tokens, rope_embed.periods",
            "github.com/facebookresearch/dinov3 (on request)",
            "DINOv3 License",
            "cls",
            heads={192: 3, 384: 6, 768: 12, 1024: 16, 1280: 20, 4096: 32},
            eps=1e-5,
        ),
        Family(
            "clip",
            "CLIP's picture tower: OpenAI, FaRL, OpenCLIP",
            "visual.class_embedding, visual.transformer.resblocks.*",
            "github.com/openai/CLIP, github.com/FacePerceiver/FaRL, github.com/mlfoundations/open_clip",
            "OpenAI CLIP, FaRL: MIT; OpenCLIP: per model",
            "cls",
            mean=CLIP_MEAN,
            std=CLIP_STD,
            heads={384: 6, 512: 8, 640: 10, 768: 12, 896: 14, 1024: 16, 1280: 16, 1408: 16, 1664: 16},
            eps=1e-5,
            activation="quickgelu",
            crop="whole pictures, FaRL's with a face in them: rather a larger `crop --margin`",
        ),
        Family(
            "siglip",
            "SigLIP and SigLIP 2 in timm's or OpenCLIP's format",
            "attn_pool.latent",
            "huggingface.co/timm (vit_*_siglip_*)",
            "Apache-2.0",
            "map",
            mean=HALF,
            std=HALF,
            heads={768: 12, 1024: 16, 1152: 16, 1536: 16},
        ),
        Family(
            "vit",
            "another Vision Transformer in timm's format: DeiT, DINO, supervised",
            "cls_token, pos_embed, patch_embed.proj.*, blocks.*.attn.qkv.*, norm.*",
            "huggingface.co/timm; github.com/facebookresearch/dino",
            "per model",
            "cls",
            heads=_MAE_HEADS,
        ),
        Family(
            "efficientnet",
            "EmotiEffNet (HSEmotion): EfficientNet-B0 and B2 for expressions",
            "conv_stem.weight, blocks.*, conv_head.weight; a pickled timm module, or its state dict",
            "github.com/av-savchenko/face-emotion-recognition (models/affectnet_emotions/*.pt)",
            "Apache-2.0",
            "avg",
            crop="the box of a face detector; rather a small `crop --margin`",
        ),
        Family(
            "timm",
            "any timm model by its name, from timm's hub or from a local file: timm:NAME@FILE",
            "the name that is given",
            "huggingface.co/timm",
            "per model",
            "as the model's own",
        ),
    )
}
