"""Weights that an encoder is right to leave behind, each by a rule with a name."""

from __future__ import annotations

import re
from collections.abc import Iterable

_ANY = r"(.*\.)?"
# name of the rule -> what it takes, matched against a key without the encoder's prefix, or outside of it
PICTURE_RULES = {
    "decoder": _ANY + r"(rep_)?decoder(s|_\w+)?(\..*)?",
    "mask token": _ANY + r"(decoder_)?mask_token",
    "projector": _ANY
    + r"(projectors?|projection_head|proj_head|predictors?|(dino|ibot)_head|head\.mlp|head\.last_layer)\..*",
    "identity head": _ANY + r"ID_head\..*",
    "classifier": _ANY
    + r"(head|head\.(fc|l)|head_\w+|\w+_head|fc|classifier|last_linear)(\.\d+)?\.(weight|bias)",
    "another network": _ANY + r"(target|momentum|student|teacher)\w*\..*",
    "centre of the loss": _ANY + r"(center|centre|prototypes|queue|queue_ptr)(\..*)?",
}
CLIP_RULES = {
    "text tower": r"(module\.)?(text|textual|text_model|transformer|token_embedding|ln_final)\..*"
    r"|(module\.)?(positional_embedding|attn_mask|text_projection(\..*)?)",
    "projection to the text space": _ANY + r"(proj|head\.proj\.(weight|bias)|head\.mlp\..*)",
    "temperature": _ANY + r"(logit_scale|logit_bias)",
    "sizes": _ANY + r"(input_resolution|context_length|vocab_size|eos_id)",
}
COMPUTED = {
    "computed, not learnt": _ANY + r"(rope_embed\.periods|qkv\.bias_mask|num_batches_tracked"
    r"|relative_position_index|relative_coords_table)",
    "local-crop norm": r"local_cls_norm\..*",
}
SPEECH_RULES = {
    "quantiser of pre-training": _ANY + r"(quantizer|project_q|project_hid)(\..*)?",
    "recognition head": _ANY + r"(lm_head|aux|final_proj|label_embs_concat|proj_out)(\..*)?",
    "classification head": _ANY + r"(classifier|projector|layer_weights|objective|tdnn)(\..*)?",
    "decoder": _ANY + r"decoder\..*",
    "mask of pre-training": _ANY + r"(masked_spec_embed|mask_emb)",
    "masked-prediction labels": _ANY + r"(mask_generator|logit_generator)\..*",
}


def sort_out(keys: Iterable[str], rules: dict[str, str]) -> tuple[dict[str, list[str]], list[str]]:
    """Which rule takes each key, and the keys that none takes.

    >>> sort_out(["decoder_embed.weight", "head.bias", "blocks.9.odd"], PICTURE_RULES)
    ({'decoder': ['decoder_embed.weight'], 'classifier': ['head.bias']}, ['blocks.9.odd'])
    """
    dropped: dict[str, list[str]] = {}
    left: list[str] = []
    compiled = {name: re.compile(pattern) for name, pattern in rules.items()}
    for key in keys:
        rule = next((name for name, pattern in compiled.items() if pattern.fullmatch(key)), None)
        if rule is None:
            left.append(key)
        else:
            dropped.setdefault(rule, []).append(key)
    return dropped, left
