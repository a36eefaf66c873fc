"""docs/reference/weights.md, made from the tables the loaders use. Standard library only."""

from __future__ import annotations

from abaw_submit.models.weights.families import FAMILIES
from abaw_submit.models.weights.read_names import CONTAINERS
from abaw_submit.models.weights.rules import CLIP_RULES, COMPUTED, PICTURE_RULES, SPEECH_RULES
from abaw_submit.models.weights.speech_families import SPEECH_FAMILIES

_HEAD = """# Weights

Made by `abaw-submit weights --table`. `abaw-submit weights FILE` says which of these a file is, whether it
loads exactly, and the command to extract with it.

A file is read (nothing in it is run), recognised by its names, renamed, built and loaded strictly: every
key is used, or left behind by one of the rules below, or the file is refused. Nothing is initialised that
the file should have held; a fresh `fc_norm` only where fine-tuning follows, as in the official code, and
`config.toml` says so. Half precision becomes float32 exactly. `module.`, `backbone.`, `online_encoder.`,
`visual.` and other prefixes are found by themselves; where a file holds several encoders, `--prefix`
chooses. Training checkpoints may keep the weights under """

_WINDOWS = """
`--layers` numbers the layers from 1: `last`, `all` (side by side), `6,9,12`, or the mean of a range:
`mean:-4:` for the last four, `mean:6:9` for layers 6 to 9.

### Windows

Speech models hear 15 s at a time with 2.5 s before and after it, of which the 15 s are kept. A model that
wants its sound normalised gets it by the mean and deviation of the whole sound, not of the window. Against
the whole sound at once, for small random models of every family, the cosine between a row's two vectors is
at least 0.999 for models whose convolutions are layer-normed (large HuBERT, wav2vec 2.0 and WavLM, data2vec),
also where the sound trebles in loudness within 40 s. The group norm of the base models takes its statistics
over time, so they hear each window at its own loudness: at least 0.99 for steady sound; where it trebles, the
median was 0.98 and single vectors differed altogether. tests/models/weights/test_speech.py holds both bounds.
Whisper takes 30 s and no more: its vectors are exactly those of pieces of 30 s.
"""


def reference_page() -> str:
    """The page as Markdown."""
    names = ", ".join(f"`{name}`" for name in CONTAINERS)
    parts = [_HEAD + names + ".", "", "## Pictures", ""]
    parts += ["| family | what | recognised by | pooling | from | licence |", "|---|---|---|---|---|---|"]
    for f in FAMILIES.values():
        parts.append(f"| `{f.name}` | {f.title} | {f.recognised_by} | {f.pool} | {f.source} | {f.licence} |")
    parts += [
        "",
        "Licences are notes as the authors state them, no advice.",
        "",
        "### Crops and normalisation",
        "",
    ]
    parts += ["| family | mean | std | face crops |", "|---|---|---|---|"]
    for f in FAMILIES.values():
        if f.name != "timm":
            parts.append(f"| `{f.name}` | {_three(f.mean)} | {_three(f.std)} | {f.crop} |")
    parts += [
        "",
        "`timm` takes them from the model's card. `fsfm` reads `pretrain_ds_mean_std.txt` beside the file.",
        "`vit` cannot know: give `--mean 0.5 --std 0.5` for timm's augreg models.",
        "",
        "### Heads",
        "",
        "Attention heads are not in the weights. They are known for the published widths; any other width,",
        "and the small ones whose authors differ (192, 384), need `--heads`. A wrong number would load and",
        "compute nonsense.",
        "",
        "| family | width: heads |",
        "|---|---|",
    ]
    for f in FAMILIES.values():
        if f.heads:
            parts.append(f"| `{f.name}` | {', '.join(f'{w}: {h}' for w, h in sorted(f.heads.items()))} |")
    parts += [
        "",
        "## Sound",
        "",
        "| family | what | recognised by | from | licence |",
        "|---|---|---|---|---|",
    ]
    for s in SPEECH_FAMILIES.values():
        parts.append(f"| `{s.name}` | {s.title} | {s.recognised_by} | {s.source} | {s.licence} |")
    parts.append(
        "| `vggish` | VGGish (Hershey et al. 2017): .pth, .safetensors or .npz, PCA in it or in a second file"
        " | features.*, embeddings.* | github.com/harritaylor/torchvggish | Apache-2.0 |"
    )
    parts += [_WINDOWS, "## Rules", "", "What may be left behind, and the names it goes by.", ""]
    parts += ["| rule | keys (a regular expression) |", "|---|---|"]
    for rules in (PICTURE_RULES, CLIP_RULES, COMPUTED, SPEECH_RULES):
        for name, pattern in rules.items():
            escaped = pattern.replace("|", "\\|")
            parts.append(f"| {name} | `{escaped}` |")
    return "\n".join(parts) + "\n"


def _three(values: tuple[float, ...]) -> str:
    return ", ".join(f"{v:.4g}" for v in values)
