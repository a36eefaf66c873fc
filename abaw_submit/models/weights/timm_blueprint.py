"""Any timm network by its name: from timm's hub, or with a local file (`timm:NAME@FILE`, a hub folder)."""

from __future__ import annotations

import difflib
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from abaw_submit.errors import UserError
from abaw_submit.models.weights.blueprint import Blueprint
from abaw_submit.models.weights.options import WeightOptions
from abaw_submit.models.weights.prefix import Rooted
from abaw_submit.models.weights.read import WeightFile
from abaw_submit.models.weights.rules import CLIP_RULES, COMPUTED, PICTURE_RULES, sort_out

# EmotiEffNet (HSEmotion) is made of these, TensorFlow's padding and all
EFFICIENTNETS = ("tf_efficientnet_b0", "tf_efficientnet_b2", "tf_efficientnet_b1", "tf_efficientnet_b3")


def make_timm(
    name: str, where: str, *, size_px: int | None = None, drop_path: float = 0.0, **more: Any
) -> Any:
    """timm's network of a name without its classifier; `pretrained=True` fetches its weights.

    Raises:
        UserError: no such name, no such size, or weights that cannot be fetched.
    """
    timm: Any = import_module("timm")
    plain = name.split(".")[0]
    if not timm.is_model(plain):
        close = difflib.get_close_matches(plain, timm.list_models(), n=1)
        hint = f'Did you mean "{close[0]}"?' if close else "See timm.list_models() for the names."
        raise UserError(f'No file and no timm model "{name}". {hint}')
    options: dict[str, Any] = {"num_classes": 0, "drop_path_rate": drop_path, **more}
    try:
        if size_px:
            try:
                return timm.create_model(name, img_size=size_px, **options)
            except TypeError:  # networks without positions take any size
                pass
        return timm.create_model(name, **options)
    except TypeError:  # no stochastic depth
        options.pop("drop_path_rate")
        return timm.create_model(name, **options)
    except (OSError, RuntimeError, ValueError, AssertionError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
        raise UserError(
            f'The weights of "{where}" cannot be fetched: {reason}\nGive a local file: timm:{name}@FILE.'
        ) from None


def _outline(name: str, **more: Any) -> Any:
    """A network without the memory of its weights, to compare names and shapes with."""
    try:
        with torch.device("meta"):
            return make_timm(name, name, pretrained=False, **more)
    except (RuntimeError, NotImplementedError, UserError):  # some compute with their weights when made
        return make_timm(name, name, pretrained=False, **more)


def timm_settings(network: Any, options: WeightOptions) -> dict[str, Any]:
    """Size, normalisation and pooling of a network, as its card says where the user does not."""
    timm: Any = import_module("timm")
    data = timm.data.resolve_data_config({}, model=network)
    tags = str(network.default_cfg.get("tag") or "") if isinstance(network.default_cfg, dict) else ""
    pool = "avg" if tags == "mae" else "own"  # MAE's class token was never trained
    return {
        "size_px": options.size_px or int(data["input_size"][-1]),
        "mean": options.mean or tuple(data["mean"]),
        "std": options.std or tuple(data["std"]),
        "pool": options.pool or pool,
    }


def timm_blueprint(
    name: str,
    file: WeightFile,
    options: WeightOptions,
    card: dict[str, Any] | None = None,
    family: str = "timm",
) -> Blueprint:
    """The blueprint of a timm network of a name, with weights from a local file.

    Names are timm's own, or those its converter knows. A conversion has to account for every number of the
    file: it may move and reshape, but nothing may be lost that no rule takes.

    Args:
        name: timm's name, with or without a tag.
        file: the file as read.
        options: what the user says.
        card: `pretrained_cfg` of a hub folder.
        family: the family it counts as.

    Raises:
        UserError: no such name, or weights of another network.
    """
    where = file.where
    more: dict[str, Any] = {"pretrained_cfg_overlay": card} if card else {}
    network = _outline(name, **more)
    wanted = network.state_dict()
    classifier = set(_outline(name, num_classes=None).state_dict()) - set(wanted)
    rules = {**COMPUTED, **PICTURE_RULES, **CLIP_RULES}
    rooted = _root_like(wanted, file, options.prefix)
    dropped, left = sort_out(rooted.outside, rules)
    inside, extra = sort_out([k for k in rooted.state if k not in wanted and k not in classifier], rules)
    inside.setdefault("classifier", []).extend(k for k in rooted.state if k in classifier)
    state = {k: v for k, v in rooted.state.items() if k in wanted}
    if any(n not in state for n in wanted if not n.endswith("num_batches_tracked")) or extra:
        state, inside, extra = _converted(network, file, rules, where, name)
        dropped = {}
        left = []
    settings = timm_settings(network, options)
    size_px = options.size_px

    def build(drop_path: float) -> nn.Module:
        made: nn.Module = make_timm(
            name, name, size_px=size_px, drop_path=drop_path, pretrained=False, **more
        )
        return made

    if size_px and "pos_embed" in state and getattr(network, "pos_embed", None) is not None:
        sized = _outline(name, size_px=size_px)
        state["pos_embed"] = _resized(network, sized, state["pos_embed"], where)
    blueprint = Blueprint(
        where=where,
        family=family,
        build=build,
        state=state,
        heads=_heads(network),
        heads_from=f"known: {name}",
        left=[*left, *extra],
        config={"timm_name": name, "family": family, "img_size_px": settings["size_px"]},
        prefix=rooted.prefix,
        **settings,
    )
    for part in (dropped, inside):
        for rule, keys in part.items():
            blueprint.drop(rule, keys)
    return blueprint


def _root_like(wanted: dict[str, Tensor], file: WeightFile, prefix: str | None) -> Rooted:
    """The prefix under which most of a network's names are found."""
    first = next(iter(sorted(wanted, key=lambda n: (n.count("."), n))))
    roots = [k.removesuffix(first) for k in file.state if k == first or k.endswith("." + first)]
    if prefix is not None:
        roots = [prefix if not prefix or prefix.endswith(".") else prefix + "."]
    best = max(roots, key=lambda r: sum(r + n in file.state for n in wanted), default="")
    inside = {k[len(best) :]: v for k, v in file.state.items() if k.startswith(best)}
    return Rooted(best, inside, [k for k in file.state if not k.startswith(best)])


def _converted(
    network: Any, file: WeightFile, rules: dict[str, str], where: str, name: str
) -> tuple[dict[str, Tensor], dict[str, list[str]], list[str]]:
    """Weights by timm's own converter, if it accounts for all of them."""
    module = import_module(type(network).__module__)
    convert = getattr(module, "checkpoint_filter_fn", None)
    source = {k.removeprefix("module."): v for k, v in file.state.items()}
    wanted = network.state_dict()
    dropped, kept = sort_out(source, rules)
    if convert is not None:
        try:
            out = convert(dict(source), network)
        except (KeyError, RuntimeError, ValueError, AttributeError, TypeError, IndexError, AssertionError):
            out = {}
        out = {k: v for k, v in out.items() if k in wanted or not sort_out([k], rules)[0]}
        held = sum(source[k].numel() for k in kept)
        if out and sum(v.numel() for v in out.values()) == held:
            return out, dropped, []
    missing = [n for n in wanted if n not in source and not n.endswith("num_batches_tracked")]
    extra = [k for k in kept if k not in wanted]
    raise UserError(
        f"{where} is not {name}: {len(missing)} of its weights are missing, such as"
        f" {(missing or ['none'])[0]}, and {len(extra)} are too many, such as {(extra or ['none'])[0]}.\n"
        "Give the name of the network it was made with."
    )


def _resized(network: Any, target: Any, positions: Tensor, where: str) -> Tensor:
    old, new = network.pos_embed.shape, target.pos_embed.shape
    if positions.shape != old:
        raise UserError(f"{where}: pos_embed is {tuple(positions.shape)}; expected {tuple(old)}.")
    if old == new:
        return positions
    layers: Any = import_module("timm.layers")

    prefix = 0 if getattr(network, "no_embed_class", False) else int(getattr(network, "num_prefix_tokens", 0))
    grid = list(target.patch_embed.grid_size)
    resized: Tensor = layers.resample_abs_pos_embed(
        positions.float(), grid, num_prefix_tokens=prefix, antialias=False
    )
    return resized


def _heads(network: Any) -> int | None:
    blocks = getattr(network, "blocks", None)
    try:
        return int(blocks[0].attn.num_heads) if blocks is not None else None
    except (AttributeError, TypeError, IndexError):
        return None


def efficientnet_name(file: WeightFile, state: dict[str, Tensor], where: str) -> tuple[str, str]:
    """Which EfficientNet an EmotiEffNet file is, and what was assumed to know it.

    TensorFlow's padding cannot be seen in weights. A pickled module names its classes; a state dict does not,
    and the published ones have it.

    Raises:
        UserError: widths and depths of none of them.
    """
    shapes = {k: tuple(v.shape) for k, v in state.items() if not k.startswith("classifier.")}
    for name in EFFICIENTNETS:
        with torch.device("meta"):
            own = make_timm(name, name, pretrained=False).state_dict()
        if {k: tuple(v.shape) for k, v in own.items() if k in shapes} == shapes:
            if not file.modules:
                return (
                    name,
                    f"{name} with TensorFlow's padding assumed, as EmotiEffNet; other: timm:NAME@FILE",
                )
            if any("Same" in c for c in file.modules):
                return name, ""
            return name.removeprefix("tf_"), ""
    raise UserError(
        f"{where} looks like an EfficientNet, but is none of {', '.join(EFFICIENTNETS)}: its weights have"
        " other shapes, are missing or too many.\nSay which timm model it is: timm:NAME@FILE."
    )
