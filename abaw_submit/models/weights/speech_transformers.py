"""Speech models in transformers' format: a folder with config.json and weights, every key accounted for."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from abaw_submit.errors import UserError
from abaw_submit.models.speech import MeanHead, SpeechEncoder, SpeechSpec
from abaw_submit.models.weights.blueprint import load_strictly
from abaw_submit.models.weights.prefix import find_root
from abaw_submit.models.weights.read import read_file
from abaw_submit.models.weights.rules import COMPUTED, SPEECH_RULES, sort_out
from abaw_submit.models.weights.speech_families import SPEECH_FAMILIES
from abaw_submit.textfile import read_json

TYPES = {f.model_type: f.name for f in reversed(SPEECH_FAMILIES.values()) if f.model_type}
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_NORMED = (
    ("weight_g", "parametrizations.weight.original0"),
    ("weight_v", "parametrizations.weight.original1"),
)


def load_folder(folder: Path, with_head: bool = False) -> SpeechEncoder:
    """A speech model of a folder in transformers' format, in evaluation mode.

    Args:
        folder: with config.json and the weights.
        with_head: its own head is wanted too.

    Raises:
        UserError: no such folder, another type of model, or weights that are not exactly the model's.
    """
    transformers: Any = import_module("transformers")
    transformers.utils.logging.set_verbosity_error()
    config = _config(transformers, folder)
    state = read_folder(folder)
    if config.model_type == "whisper":
        return _whisper(folder, config, state)
    rooted = find_root(state, str(folder), anchors=("feature_extractor.conv_layers.0.conv.weight",))
    network = transformers.AutoModel.from_config(config)
    wanted = network.state_dict()
    weights = {_modern(k, wanted): v for k, v in rooted.state.items()}
    rules = {**SPEECH_RULES, **COMPUTED}
    inside, left = sort_out([k for k in weights if k not in wanted], rules)
    head, taken = _head(config, rooted.outside, state, with_head, str(folder))
    outside, more = sort_out([k for k in rooted.outside if k not in taken], rules)
    weights = {k: v for k, v in weights.items() if k in wanted}
    load_strictly(network, weights, str(folder), left=[*left, *more], fresh=("masked_spec_embed",))
    is_layered = getattr(config, "feat_extract_norm", "layer") == "layer"
    normalise, note = _normalise(folder, is_layered, config.model_type)
    kernels, strides = list(config.conv_kernel), list(config.conv_stride)
    field = 1 + sum((k - 1) * math.prod(strides[:i]) for i, k in enumerate(kernels))
    spec = SpeechSpec(
        family="audeering" if head is not None else TYPES[config.model_type],
        where=str(folder),
        dim=int(config.hidden_size),
        layers=int(config.num_hidden_layers),
        hop=math.prod(strides),
        field_samples=field,
        offset=(field - 1) / 2,
        call=_caller(is_layered),
        norm_eps=1e-7 if normalise else None,
        config={**_plain(config), "normalise": normalise, "masked": is_layered},
        notes=[note] if note else [],
        dropped={rule: [*inside.get(rule, []), *outside.get(rule, [])] for rule in {**inside, **outside}},
        outputs=_outputs(config) if head is not None else (),
    )
    return SpeechEncoder(network.eval(), spec, head).eval()


def read_folder(folder: Path) -> dict[str, Tensor]:
    """All weights of a folder: one file, or the shards that an index names.

    Raises:
        UserError: there are none, or a shard is missing.
    """
    for name in _WEIGHTS:
        index = folder / f"{name}.index.json"
        if (folder / name).is_file():
            return read_file(folder / name).state
        if index.is_file():
            try:
                shards = sorted(set(read_json(index, dict[str, Any])["weight_map"].values()))
            except (KeyError, TypeError, AttributeError):
                raise UserError(f"{index} is not an index of weight files.") from None
            state: dict[str, Tensor] = {}
            for shard in shards:
                state.update(read_file(folder / Path(shard).name).state)
            return state
    raise UserError(f"{folder} has a config.json but no weights: expected {' or '.join(_WEIGHTS)}.")


def _config(transformers: Any, folder: Path) -> Any:
    if not (folder / "config.json").is_file():
        raise UserError(
            f"{folder} cannot be loaded: there is no config.json."
            "\nGive a folder with config.json and model.safetensors by --checkpoint."
        )
    try:
        config = transformers.AutoConfig.from_pretrained(folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
        raise UserError(f"{folder}/config.json cannot be loaded: {reason}") from None
    if config.model_type not in TYPES:
        raise UserError(f"{folder} is a {config.model_type} model; expected {', '.join(sorted(TYPES))}.")
    return config


def _modern(name: str, wanted: dict[str, Tensor]) -> str:
    """Today's name of a weight-normed convolution's parts."""
    for old, new in _NORMED:
        if name.endswith("." + old) and name not in wanted:
            return name.removesuffix(old) + new
    return name


def _caller(masked: bool) -> Callable[[Any, Tensor], list[Tensor]]:
    def call(network: Any, samples: Tensor) -> list[Tensor]:
        # models whose convolutions are layer-normed were trained with masks; the others have to go without
        more = {"attention_mask": torch.ones(1, len(samples), dtype=torch.long, device=samples.device)}
        found = network(samples[None], output_hidden_states=True, **(more if masked else {}))
        # the last one with the final norm, which `hidden_states` may be without
        return [state[0] for state in (*found.hidden_states[1:-1], found.last_hidden_state)]

    return call


def _normalise(folder: Path, is_layered: bool, model_type: str) -> tuple[bool, str]:
    """Whether the model wants sound of zero mean and unit variance, and what was assumed to say so."""
    path = folder / "preprocessor_config.json"
    if path.is_file():
        try:
            return bool(read_json(path, dict[str, Any])["do_normalize"]), ""
        except KeyError:
            raise UserError(f"{path} does not say do_normalize.") from None
    # WavLM's base models take the sound as it is, all others here want it normalised
    wants = is_layered or model_type != "wavlm"
    said = "normalised" if wants else "as it is"
    return wants, f"sound taken {said}: assumed, as there is no preprocessor_config.json"


def _head(
    config: Any, outside: list[str], state: dict[str, Tensor], wanted: bool, where: str
) -> tuple[nn.Module | None, set[str]]:
    """audeering's head, if the folder holds it, and the keys it takes."""
    names = [k for k in outside if re.fullmatch(r"classifier\.(dense|out_proj)\.(weight|bias)", k)]
    if len(names) != 4:
        if wanted or names:
            raise UserError(
                f"{where} holds no emotion head that is known: expected classifier.dense.* and"
                " classifier.out_proj.*.\nLeave --head-s out, or give audeering's model."
            )
        return None, set()
    head = MeanHead(int(config.hidden_size), int(state["classifier.out_proj.weight"].shape[0]))
    load_strictly(head, {k.removeprefix("classifier."): state[k] for k in names}, where)
    return head.eval(), set(names)


def _outputs(config: Any) -> tuple[str, ...]:
    labels = getattr(config, "id2label", {}) or {}
    return tuple(str(labels[k]) for k in sorted(labels))


def _plain(config: Any) -> dict[str, Any]:
    """The settings of a config that change its numbers."""
    skip = ("_name_or_path", "transformers_version", "torch_dtype", "dtype", "id2label", "label2id")
    return {k: v for k, v in json.loads(config.to_json_string(use_diff=False)).items() if k not in skip}


def _whisper(folder: Path, config: Any, state: dict[str, Tensor]) -> SpeechEncoder:
    """Whisper's encoder: 30 s of log-mel at a time, shorter sound filled up with silence."""
    transformers: Any = import_module("transformers")
    module: Any = import_module("transformers.models.whisper.modeling_whisper")
    network = module.WhisperEncoder(config)
    rooted = find_root(state, str(folder), anchors=("encoder.conv1.weight",))
    inner = {k.removeprefix("encoder."): v for k, v in rooted.state.items() if k.startswith("encoder.")}
    others = [k for k in state if not k.startswith(rooted.prefix + "encoder.")]
    dropped, left = sort_out(others, {**SPEECH_RULES, **COMPUTED})
    load_strictly(network, inner, str(folder), left=left)
    has_front = (folder / "preprocessor_config.json").is_file()
    front = (
        transformers.WhisperFeatureExtractor.from_pretrained(folder)
        if has_front
        else transformers.WhisperFeatureExtractor(feature_size=config.num_mel_bins)
    )
    if int(front.feature_size) != int(config.num_mel_bins):
        raise UserError(
            f"{folder}: {front.feature_size} mel bands; its config.json says {config.num_mel_bins}."
        )
    hop = 2 * int(front.hop_length)

    def call(encoder: Any, samples: Tensor) -> list[Tensor]:
        mel = front(samples.cpu().numpy(), sampling_rate=16_000, return_tensors="pt").input_features
        found = encoder(mel.to(samples.device), output_hidden_states=True)
        heard = max(1, -(-len(samples) // hop))  # states of the silence behind the sound are left out
        return [state[0, :heard] for state in (*found.hidden_states[1:-1], found.last_hidden_state)]

    spec = SpeechSpec(
        family="whisper",
        where=str(folder),
        dim=int(config.d_model),
        layers=int(config.encoder_layers),
        hop=hop,
        field_samples=1,
        offset=0.0,
        call=call,
        window_s=(30.0, 0.0),  # it takes 30 s and no more; longer sound comes in pieces, as its authors do it
        config={**_plain(config), "mel": int(front.feature_size), "hop": hop},
        notes=[] if has_front else ["log-mel front end assumed, as there is no preprocessor_config.json"],
        dropped=dropped,
    )
    return SpeechEncoder(network.eval(), spec).eval()
