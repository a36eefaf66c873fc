"""torchaudio's speech bundles: by name, or their `.pth` as a local file, found by its shapes."""

from __future__ import annotations

import math
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from abaw_submit.errors import UserError, suggest
from abaw_submit.models.speech import SpeechEncoder, SpeechSpec
from abaw_submit.models.weights.blueprint import load_strictly
from abaw_submit.models.weights.prefix import find_root
from abaw_submit.models.weights.read import read_file
from abaw_submit.models.weights.rules import COMPUTED, SPEECH_RULES, sort_out

PREFIX = "torchaudio:"
_ROOT = "encoder.feature_projection.projection.weight"


def bundles() -> dict[str, Any]:
    """torchaudio's speech bundles by name."""
    pipelines: Any = import_module("torchaudio.pipelines")
    kind = pipelines.Wav2Vec2Bundle
    return {n: b for n in dir(pipelines) if isinstance(b := getattr(pipelines, n), kind)}


def is_torchaudio(state: dict[str, Tensor]) -> bool:
    """Whether names are those of torchaudio's speech models."""
    return any(k == _ROOT or k.endswith("." + _ROOT) for k in state)


def load_bundle(source: str) -> SpeechEncoder:
    """`torchaudio:NAME` from torchaudio's own cache or server, or `torchaudio:NAME@FILE`.

    Raises:
        UserError: no such bundle, no network, or weights that are not exactly the bundle's.
    """
    name, _, file = source.removeprefix(PREFIX).partition("@")
    known = bundles()
    if name not in known:
        raise UserError(f'torchaudio has no speech bundle "{name}". {suggest(name, known)}')
    if file:
        return load_file(Path(file), name)
    bundle = known[name]
    try:
        state = bundle._get_state_dict({"progress": False})  # what bundle.get_model() loads
    except (OSError, RuntimeError, ValueError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
        raise UserError(
            f"The weights of torchaudio's {name} cannot be fetched: {reason}\n"
            f"Give the file instead: {PREFIX}{name}@{bundle._path}"
        ) from None
    return _load(dict(state), bundle, source, [])


def load_file(path: Path, name: str | None = None) -> SpeechEncoder:
    """A `.pth` of torchaudio's format.

    Args:
        path: the file.
        name: the bundle; None finds it by the shapes of the weights.

    Raises:
        UserError: weights of no bundle, or of several that would compute different numbers.
    """
    file = read_file(path)
    rooted = find_root(file.state, str(path), anchors=(_ROOT,))
    known = bundles()
    notes = []
    if name is None:
        name = _find(rooted.state, known, str(path))
        notes = [f"taken for torchaudio's {name}, by its shapes; others: torchaudio:NAME@FILE"]
    outside, left = sort_out(rooted.outside, {**SPEECH_RULES, **COMPUTED})
    if left:
        raise UserError(f"{path} holds {len(left)} weights that no bundle has, such as {left[0]}.")
    made = _load(rooted.state, known[name], str(path), notes)
    made.spec.dropped.update(outside)
    return made


def _build(bundle: Any) -> Any:
    models: Any = import_module("torchaudio.models")
    factory = models.wavlm_model if bundle._model_type == "WavLM" else models.wav2vec2_model
    return factory(**{**bundle._params, "aux_num_out": None})


def _find(state: dict[str, Tensor], known: dict[str, Any], where: str) -> str:
    """The bundle whose weights have these shapes; of several that compute the same, the first."""
    kept = {k: tuple(v.shape) for k, v in state.items() if not k.startswith("aux.")}
    fits: dict[str, Any] = {}
    dim = state[_ROOT].shape[0]
    depth = len({k.split(".")[3] for k in kept if k.startswith("encoder.transformer.layers.")})
    kind = "WavLM" if any("gru_rel_pos" in k for k in kept) else "Wav2Vec2"
    for name, bundle in known.items():
        size = (bundle._params["encoder_embed_dim"], bundle._params["encoder_num_layers"])
        if bundle._model_type != kind or size != (dim, depth):
            continue
        with torch.device("meta"):
            shapes = {k: tuple(v.shape) for k, v in _build(bundle).state_dict().items()}
        if shapes == kept:
            fits[name] = bundle
    if not fits:
        raise UserError(
            f"{where} has torchaudio's names but the shapes of none of its bundles: weights are missing, too"
            " many, or of another size.\nWhere the bundle is known: torchaudio:NAME@FILE says what differs."
        )
    kinds = {_identity(bundle) for bundle in fits.values()}
    if len(kinds) > 1:
        raise UserError(
            f"{where} has the shapes of several bundles that compute different numbers: {', '.join(fits)}.\n"
            f"Say which: torchaudio:{next(iter(fits))}@{where}"
        )
    return next(iter(fits))


def _identity(bundle: Any) -> str:
    settings = {k: v for k, v in bundle._params.items() if k != "aux_num_out" and "drop" not in k}
    return f"{bundle._model_type} {bundle._normalize_waveform} {sorted(settings.items())}"


def _load(state: dict[str, Tensor], bundle: Any, where: str, notes: list[str]) -> SpeechEncoder:
    network = _build(bundle)
    wanted = network.state_dict()
    dropped, left = sort_out([k for k in state if k not in wanted], {**SPEECH_RULES, **COMPUTED})
    load_strictly(network, {k: v for k, v in state.items() if k in wanted}, where, left=left)
    layers = bundle._params["extractor_conv_layer_config"] or _CONVOLUTIONS
    kernels, strides = [k for _, k, _ in layers], [s for _, _, s in layers]
    field = 1 + sum((k - 1) * math.prod(strides[:i]) for i, k in enumerate(kernels))

    def call(model: Any, samples: Tensor) -> list[Tensor]:
        states, _ = model.extract_features(samples[None])
        stack = model.encoder.transformer
        if not stack.layer_norm_first:  # the final norm belongs to the last layer's output, as in forward()
            states = [*states[:-1], stack.layer_norm(states[-1])]
        return [state[0] for state in states]

    spec = SpeechSpec(
        family="torchaudio",
        where=where,
        dim=int(bundle._params["encoder_embed_dim"]),
        layers=int(bundle._params["encoder_num_layers"]),
        hop=math.prod(strides),
        field_samples=field,
        offset=(field - 1) / 2,
        call=call,
        norm_eps=1e-5 if bundle._normalize_waveform else None,  # that of torch's layer_norm
        config={"bundle": _identity(bundle)},
        notes=list(notes),
        dropped=dropped,
    )
    return SpeechEncoder(network.eval(), spec).eval()


_CONVOLUTIONS = ((512, 10, 5), *((512, 3, 2),) * 4, *((512, 2, 2),) * 2)  # torchaudio's own default
