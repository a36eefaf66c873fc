"""What a weights file is, told in words: the answer of `abaw-submit weights`."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from abaw_submit.errors import UserError
from abaw_submit.models.encoder import Encoder
from abaw_submit.models.weights.beside import timm_config
from abaw_submit.models.weights.blueprint import Blueprint
from abaw_submit.models.weights.encoders import HUB, TIMM, blueprint_of, encoder_of, load_encoder
from abaw_submit.models.weights.families import FAMILIES
from abaw_submit.models.weights.options import WeightOptions
from abaw_submit.models.weights.read import read_file
from abaw_submit.models.weights.speech import load_speech
from abaw_submit.models.weights.speech_families import SPEECH_FAMILIES, layer_groups
from abaw_submit.models.weights.speech_torchaudio import PREFIX, is_torchaudio
from abaw_submit.store import sha256_file

_FLAGS = {"size_px": "size", "head_s": "head-s"}


@dataclass
class About:
    """What is known of some weights.

    Attributes:
        source: as it was given.
        kind: "picture", "speech" or "vggish".
        family: the family's name and title.
        facts: further lines, name to text, in the order they are shown.
        notes: what was assumed.
        problem: why they do not load; None if they load exactly.
        command: the command to extract with them.
    """

    source: str
    kind: str
    family: str = ""
    facts: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    problem: str | None = None
    command: str = ""

    def as_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        return asdict(self)

    def text(self) -> str:
        """All of it as lines."""
        facts = {"family": self.family, **self.facts}
        lines = [f"{name:15} {value}" for name, value in facts.items() if value]
        lines += [f"{'note':15} {note}" for note in self.notes]
        if self.problem is None:
            lines += [f"{'loads':15} exactly", "", self.command]
        return "\n".join(lines)


def describe(source: str, options: WeightOptions) -> About:
    """Look at weights, load them strictly, and say what they are.

    Args:
        source: what `load_encoder`, `load_speech` or `load_vggish` takes.
        options: what the user says of them.
    """
    about = About(source, _kind(source))
    about.facts.update(_files(source))
    try:
        options.check()
        {"picture": _picture, "speech": _speech, "vggish": _vggish}[about.kind](about, options)
    except UserError as error:
        about.problem = str(error)
    return about


def _kind(source: str) -> str:
    """Who listens and who looks, by the names in the file or folder."""
    path = Path(source)
    if source.startswith(PREFIX):
        return "speech"
    if path.is_dir() and timm_config(path) is None and (path / "config.json").is_file():
        return "speech"
    if path.is_dir() and not (path / "model.safetensors").is_file() and any(path.glob("*.pth")):
        return "vggish"
    if path.is_file() and path.suffix == ".npz":
        return "vggish"
    if path.is_file():
        try:
            state = read_file(path).state
        except UserError:
            return "picture"
        if is_torchaudio(state):
            return "speech"
        return "vggish" if any(k.endswith(("embeddings.0.weight", "pca_means")) for k in state) else "picture"
    named = source.startswith((TIMM, *HUB)) or source.count("/") != 1 or path.suffix
    return "picture" if named else "speech"


def _path(source: str) -> Path:
    """The file or folder that a source names, behind `timm:NAME@` too."""
    return Path(source.partition("@")[2] if source.startswith((TIMM, PREFIX)) and "@" in source else source)


def _files(source: str) -> dict[str, str]:
    """Size and sha256 of the files that hold the weights."""
    path = _path(source)
    files = [path] if path.is_file() else []
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.suffix in (".safetensors", ".bin", ".pth", ".npz"))
    facts = {}
    for file in files:
        size = file.stat().st_size / 2**20
        facts[f"file {file.name}" if len(files) > 1 else "file"] = (
            f"{file.name}, {size:.1f} MiB, sha256 {sha256_file(file)}"
        )
    return facts


def _picture(about: About, options: WeightOptions) -> None:
    blueprint = blueprint_of(about.source, options)
    if blueprint is None:
        encoder = load_encoder(about.source, options=options)
        _family(about, "timm")
    else:
        _family(about, blueprint.family)
        about.notes += blueprint.notes
        about.facts.update(_keys(blueprint.dropped, blueprint.state, blueprint.prefix))
        _heads(about, blueprint)
        tuned = blueprint_of(about.source, options, finetune=True)
        about.facts["fine-tuning"] = "; ".join(tuned.notes[:1]) if tuned is not None and tuned.fresh else ""
        encoder = encoder_of(blueprint)
    _encoder(about, encoder)
    about.command = _command("picture", about.source, options, "--crops crops/")


def _family(about: About, name: str) -> None:
    family = FAMILIES[name]
    about.family = f"{name}: {family.title}"
    about.facts |= {"from": family.source, "licence": family.licence, "crops": family.crop}


def _heads(about: About, blueprint: Blueprint) -> None:
    if blueprint.heads is not None:
        about.facts["heads"] = f"{blueprint.heads} ({blueprint.heads_from})"


def _encoder(about: About, encoder: Encoder) -> None:
    sizes = {k: encoder.config[k] for k in ("patch_px", "dim", "depth") if k in encoder.config}
    words = ", ".join(f"{k} {v}" for k, v in sizes.items())
    about.facts |= {
        "picture": f"{encoder.size_px} px" + (f"; {words}" if words else ""),
        "normalisation": f"mean {_three(encoder.mean)}, std {_three(encoder.std)}",
        "feature": f"{encoder.dim} numbers a row, pool {encoder.pool}",
        "memory": _memory(encoder),
    }


def _speech(about: About, options: WeightOptions) -> None:
    made = load_speech(about.source, with_head=options.head_s is not None)
    spec = made.spec
    family = SPEECH_FAMILIES[spec.family]
    about.family = f"{family.name}: {family.title}"
    groups = layer_groups(options.layers, spec.layers)
    dim = len(spec.outputs) if options.head_s is not None else spec.dim * len(groups)
    state = dict(made.state_dict())
    about.facts |= {
        "from": family.source,
        "licence": family.licence,
        **_keys(spec.dropped, state, ""),
        "layers": f"{spec.layers} of {spec.dim}; {16_000 / spec.hop:.0f} vectors a second",
        "head": ", ".join(spec.outputs),
        "feature": f"{dim} numbers a row",
        "windows": f"{spec.window_s[0]:.0f} s, and {spec.window_s[1]:.1f} s before and after them",
        "memory": _memory(made),
    }
    about.notes += spec.notes
    about.command = _command("speech", about.source, options, "--crops crops/ --videos videos/")


def _vggish(about: About, options: WeightOptions) -> None:
    from abaw_submit.models.vggish import load_vggish

    model = load_vggish(about.source)
    has_pca = model.pca_means is not None
    about.family = "vggish: VGGish (Hershey et al. 2017)"
    about.facts |= {
        "from": "github.com/harritaylor/torchvggish (releases)",
        "licence": "Apache-2.0",
        "feature": f"{model.dim} numbers a row; PCA parameters {'there' if has_pca else 'missing'}",
        "memory": _memory(model),
    }
    name = "vggish-pca" if has_pca else "vggish"
    about.command = _command(name, about.source, options, "--crops crops/ --videos videos/")


def _keys(dropped: dict[str, list[str]], state: dict[str, Tensor], prefix: str) -> dict[str, str]:
    rules = {rule: keys for rule, keys in dropped.items() if keys}
    said = "; ".join(f"{rule}: {len(keys)} ({keys[0]})" for rule, keys in rules.items()) or "none"
    return {"prefix": prefix, "keys used": str(len(state)), "keys dropped": said}


def _memory(module: nn.Module) -> str:
    count = sum(p.numel() for p in module.parameters())
    return f"{count / 1e6:.1f} million weights, {count * 4 / 2**20:.0f} MiB in float32"


def _three(values: tuple[float, ...]) -> str:
    return ", ".join(f"{v:.4g}" for v in values)


def _command(extractor: str, source: str, options: WeightOptions, inputs: str) -> str:
    said = ""
    for name, value in options.given().items():
        text = ",".join(str(v) for v in value) if isinstance(value, tuple) else str(value)
        said += f" --{_FLAGS.get(name, name)} {shlex.quote(text)}"
    stem = _path(source).stem.lower() or "name"
    safe = "".join(c if c.isalnum() or c in "-_" else "_" for c in stem)
    return (
        f"abaw-submit extract --extractor {extractor} --checkpoint {shlex.quote(source)}{said}"
        f" {inputs} --out features/{safe}"
    )
