"""The extractors by name, imported only when used. Needs only the standard library."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from abaw_submit.errors import UserError, suggest

VISUAL, AUDIO = "visual", "audio"


@dataclass(frozen=True)
class Entry:
    """One extractor.

    Attributes:
        name: what `--extractor` takes.
        kind: "visual" (looks at crops) or "audio" (listens to videos).
        target: "module:attribute" of a class or function that makes it from (source, device, precision),
            or from nothing where `needs_weights` is False.
        dim: numbers per row; None where the weights decide.
        weights: what `--checkpoint` takes, for the reader.
        default_source: the checkpoint where none is given.
        needs_weights: whether it is made from a source, a device and a precision.
    """

    name: str
    kind: str
    target: str
    dim: int | None
    weights: str
    default_source: str | None = None
    needs_weights: bool = True

    def load(self) -> Any:
        """Import what makes the extractor.

        Raises:
            UserError: there is no such module or attribute.
        """
        module, _, attribute = self.target.partition(":")
        try:
            return getattr(import_module(module), attribute)
        except ModuleNotFoundError as error:
            raise UserError(f'Extractor "{self.name}": no module {error.name} can be imported.') from None
        except AttributeError:
            raise UserError(f'Extractor "{self.name}": {module} has no "{attribute}".') from None

    def create(self, source: str | None, device: str, precision: str) -> Any:
        """Make the extractor.

        Args:
            source: the weights; None takes `default_source`.
            device: "auto", "cpu", "cuda".
            precision: "auto", "no", "fp16" or "bf16".

        Raises:
            UserError: it needs weights and none are given, or they cannot be loaded.
        """
        source = self.source(source)
        factory = self.load()
        return factory(source, device, precision) if self.needs_weights else factory()

    def source(self, given: str | None) -> str | None:
        """The weights to use: those given, or the default ones.

        Raises:
            UserError: it needs weights and there are none.
        """
        if self.needs_weights and not (given or self.default_source):
            raise UserError(f'Extractor "{self.name}" needs --checkpoint: {self.weights}.')
        return (given or self.default_source) if self.needs_weights else None


_FEATURES = "abaw_submit.features"
EXTRACTORS = {
    entry.name: entry
    for entry in (
        Entry(
            "mae",
            VISUAL,
            f"{_FEATURES}.visual:EncoderFeatures",
            None,
            "a checkpoint folder of `finetune` or `pretrain`, or a .pth in the official MAE format",
        ),
        Entry(
            "timm",
            VISUAL,
            f"{_FEATURES}.visual:EncoderFeatures",
            None,
            "a timm name such as vit_base_patch16_224.mae, or hf-hub:<owner>/<name>",
        ),
        Entry("logmel", AUDIO, f"{_FEATURES}.logmel:LogMel", 136, "none", needs_weights=False),
        Entry(
            "hubert",
            AUDIO,
            f"{_FEATURES}.speech:Hubert",
            768,
            "a folder in the transformers format, or a hub name",
            "facebook/hubert-base-ls960",
        ),
        Entry(
            "wav2vec2",
            AUDIO,
            f"{_FEATURES}.speech:Wav2Vec2",
            768,
            "a folder in the transformers format, or a hub name",
            "facebook/wav2vec2-base-960h",
        ),
        Entry(
            "vggish",
            AUDIO,
            f"{_FEATURES}.vggish:VggishEmbeddings",
            128,
            "a .pth or .safetensors file with features.* and embeddings.*",
        ),
        Entry(
            "vggish-pca",
            AUDIO,
            f"{_FEATURES}.vggish:VggishPca",
            128,
            "a folder with the VGGish weights and their PCA parameters",
        ),
    )
}


def get_extractor(name: str) -> Entry:
    """The extractor of a name, or of "module:attribute" for one that lives outside this package.

    One from outside says itself what it is: attributes `kind`, and `needs_weights` if it needs none.

    Raises:
        UserError: no such extractor.
    """
    if name in EXTRACTORS:
        return EXTRACTORS[name]
    if ":" in name:
        made = Entry(name, "", name, None, "as its author says")
        factory = made.load()
        kind = getattr(factory, "kind", None)
        if kind not in (VISUAL, AUDIO):
            raise UserError(f'Extractor "{name}": its `kind` is {kind!r}; expected "visual" or "audio".')
        needs_weights = bool(getattr(factory, "needs_weights", True))
        return Entry(name, kind, name, None, made.weights, needs_weights=needs_weights)
    raise UserError(f'Unknown extractor "{name}". {suggest(name, EXTRACTORS)}')
