"""One loader for picture weights: a folder, a file or a name to an `Encoder`, exactly or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from abaw_submit.errors import UserError
from abaw_submit.models.encoder import Encoder
from abaw_submit.models.weights.beside import own_config, timm_config
from abaw_submit.models.weights.blueprint import Blueprint, build_strictly
from abaw_submit.models.weights.dinov3 import dinov3_blueprint, is_dinov3
from abaw_submit.models.weights.hub import hub_folder
from abaw_submit.models.weights.options import WeightOptions
from abaw_submit.models.weights.pool import check_pool, pooled_dim
from abaw_submit.models.weights.prefix import find_root
from abaw_submit.models.weights.read import SUFFIXES, WeightFile, read_file
from abaw_submit.models.weights.timm_blueprint import (
    efficientnet_name,
    make_timm,
    timm_blueprint,
    timm_settings,
)
from abaw_submit.models.weights.vit_blueprint import vit_blueprint

TIMM = "timm:"
HUB = ("hf-hub:", "hf_hub:")


def load_encoder(
    source: Path | str,
    *,
    options: WeightOptions | None = None,
    drop_path: float = 0.0,
    finetune: bool = False,
) -> Encoder:
    """An encoder with trained weights, in evaluation mode.

    Args:
        source: a checkpoint folder of this project; a weights file; a folder of timm's hub; a timm name;
            `timm:NAME@FILE`; `hf-hub:owner/name`.
        options: what the user says of it.
        drop_path: stochastic depth, for further training.
        finetune: further training follows; see `vit_blueprint`.

    Raises:
        UserError: nothing there, weights of no known family, or not exactly those of one.
    """
    options = options or WeightOptions()
    options.check()
    blueprint = blueprint_of(source, options, finetune=finetune)
    if blueprint is not None:
        return encoder_of(blueprint, drop_path)
    name = str(source).removeprefix(TIMM)
    network = make_timm(name, name, size_px=options.size_px, drop_path=drop_path, pretrained=True)
    settings = timm_settings(network, options)
    config = {"timm_name": name, "family": "timm", "img_size_px": settings["size_px"]}
    return _encoder(network.eval(), name, config, (), settings)


def blueprint_of(source: Path | str, options: WeightOptions, *, finetune: bool = False) -> Blueprint | None:
    """How a local file or folder is to be loaded; None for a name whose weights timm fetches.

    Raises:
        UserError: see `load_encoder`.
    """
    text = str(source)
    if text.startswith(TIMM) and "@" in text:
        name, _, file = text.removeprefix(TIMM).partition("@")
        return timm_blueprint(name, read_file(_existing(file)), options)
    hub = next((h for h in HUB if text.startswith(h)), None)
    if hub is not None:
        return _folder_blueprint(hub_folder(text.removeprefix(hub)), options, finetune)
    path = Path(source)
    if path.is_dir():
        return _folder_blueprint(path, options, finetune)
    if path.is_file():
        config = own_config(str(path))
        if config.get("timm_name"):
            return timm_blueprint(
                str(config["timm_name"]), read_file(path), options.filled(_known(config)), family="own"
            )
        return file_blueprint(
            read_file(path, _container(options)), options.filled(_known(config)), finetune, config
        )
    if text.startswith(TIMM):
        return None
    if path.suffix in SUFFIXES or path.parent != Path():
        raise UserError(
            f"No encoder at {path}: expected a checkpoint folder, a weights file or a timm name."
            " See `abaw-submit extractors`."
        )
    return None


def file_blueprint(
    file: WeightFile, options: WeightOptions, finetune: bool = False, config: dict[str, Any] | None = None
) -> Blueprint:
    """The blueprint of a weights file that is to be recognised by its names.

    Args:
        file: the file as read.
        options: what the user says, filled with what a config says.
        finetune: further training follows.
        config: the [encoder] section of a checkpoint folder.

    Raises:
        UserError: names of no known family.
    """
    config = config or {}
    rooted = find_root(file.state, file.where, _rest(options, file))
    if is_dinov3(rooted):
        return dinov3_blueprint(file, rooted, options)
    if "conv_stem.weight" in rooted.state and "conv_head.weight" in rooted.state:
        name, note = efficientnet_name(file, rooted.state, file.where)
        blueprint = timm_blueprint(name, file, options, family="efficientnet")
        blueprint.notes += [note] if note else []
        return blueprint
    if "patch_embed.proj.weight" in rooted.state or "class_embedding" in rooted.state:
        known = {k: config[k] for k in ("eps", "family") if k in config}
        if config and "family" not in known:
            known["family"] = "own"
        return vit_blueprint(file, rooted, options, finetune, **known)
    some = ", ".join(sorted(file.state)[:3])
    if any(k.startswith(("feature_extractor.conv_layers", "encoder.transformer.layers")) for k in file.state):
        raise UserError(f"{file.where} holds a speech model. Extract with --extractor speech.")
    raise UserError(
        f"{file.where} is of no family that is recognised (it holds {some}, …).\n"
        "Say which timm model it is, timm:NAME@FILE, or what stands before its names, --prefix."
        " `abaw-submit extractors` lists the families."
    )


def encoder_of(blueprint: Blueprint, drop_path: float = 0.0) -> Encoder:
    """Build a blueprint's encoder."""
    network = build_strictly(blueprint, drop_path)
    settings = {
        "size_px": blueprint.size_px,
        "mean": blueprint.mean,
        "std": blueprint.std,
        "pool": blueprint.pool,
    }
    return _encoder(network, blueprint.where, blueprint.config, tuple(blueprint.notes), settings)


def _encoder(
    network: Any, where: str, config: dict[str, Any], notes: tuple[str, ...], said: dict[str, Any]
) -> Encoder:
    pool = said["pool"]
    check_pool(network, pool, where)
    full = {**config, "pool": pool, "mean": list(said["mean"]), "std": list(said["std"])}
    if notes:
        full["notes"] = list(notes)  # so that config.toml of what is trained on says them too
    return Encoder(
        network, said["size_px"], pooled_dim(network, pool), said["mean"], said["std"], full, pool, notes
    ).eval()


def _folder_blueprint(folder: Path, options: WeightOptions, finetune: bool) -> Blueprint:
    from abaw_submit.models.checkpoint import WEIGHTS_NAME, read_config

    card = timm_config(folder)
    if card is not None:
        weights = next((p for n in (WEIGHTS_NAME, "pytorch_model.bin") if (p := folder / n).is_file()), None)
        if weights is None:
            raise UserError(f"{folder} has a config.json but neither {WEIGHTS_NAME} nor pytorch_model.bin.")
        return timm_blueprint(str(card["architecture"]), read_file(weights), options, _card(card))
    weights = folder / WEIGHTS_NAME
    if not weights.is_file():
        raise UserError(f"{folder} is not a checkpoint folder: {WEIGHTS_NAME} is missing.")
    config = read_config(folder).get("encoder")
    if not isinstance(config, dict):
        raise UserError(f"{folder} is not an encoder's checkpoint: its config.toml has no [encoder] section.")
    filled = options.filled(_known(config))
    if config.get("timm_name"):
        blueprint = timm_blueprint(
            str(config["timm_name"]), read_file(weights), filled, family=str(config.get("family", "own"))
        )
    else:
        blueprint = file_blueprint(read_file(weights), filled, finetune, config)
    blueprint.where = str(folder)
    blueprint.heads_from = "config.toml"
    return blueprint


def _known(config: dict[str, Any]) -> dict[str, Any]:
    """What a checkpoint's config says, under the names of the options."""
    known: dict[str, Any] = {
        k: config[k] for k in ("pool", "mean", "std", "heads", "activation") if k in config
    }
    return {**known, **({"size_px": config["img_size_px"]} if "img_size_px" in config else {})}


def _card(card: dict[str, Any]) -> dict[str, Any]:
    given = card.get("pretrained_cfg") or {}
    return {k: v for k, v in given.items() if k in ("mean", "std", "input_size", "interpolation", "tag")}


def _container(options: WeightOptions) -> str | None:
    """The first part of a prefix may name the entry of a training checkpoint."""
    return options.prefix.split(".")[0] if options.prefix else None


def _rest(options: WeightOptions, file: WeightFile) -> str | None:
    """The prefix without the entry that was taken."""
    if not options.prefix:
        return options.prefix
    head, _, rest = options.prefix.partition(".")
    return (rest or None) if head == file.container else options.prefix


def _existing(file: str) -> Path:
    path = Path(file)
    if not path.is_file():
        raise UserError(f"No weights file at {path}.")
    return path
