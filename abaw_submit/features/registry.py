"""The extractors by name, imported only when used. Needs only the standard library."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from abaw_submit.errors import UserError, suggest
from abaw_submit.models.weights.options import WeightOptions

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
        options: the fields of `WeightOptions` it takes; those with any are made with options as a fourth.
    """

    name: str
    kind: str
    target: str
    dim: int | None
    weights: str
    default_source: str | None = None
    needs_weights: bool = True
    options: tuple[str, ...] = ()

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

    def create(
        self, source: str | None, device: str, precision: str, options: WeightOptions | None = None
    ) -> Any:
        """Make the extractor.

        Args:
            source: the weights; None takes `default_source`.
            device: "auto", "cpu", "cuda".
            precision: "auto", "no", "fp16" or "bf16".
            options: what is said of the weights.

        Raises:
            UserError: it needs weights and none are given, or they cannot be loaded.
        """
        source = self.source(source)
        factory = self.load()
        options = options or WeightOptions()
        self.check_options(options)
        if self.options:
            return factory(source, device, precision, options)
        return factory(source, device, precision) if self.needs_weights else factory()

    def check_options(self, options: WeightOptions) -> None:
        """Refuse options that would have no effect.

        Raises:
            UserError: one that this extractor does not take, or an impossible value.
        """
        options.check()
        for name in options.given():
            if name not in self.options:
                takes = ", ".join(f"--{flag(n)}" for n in self.options) or "none"
                raise UserError(
                    f'Extractor "{self.name}" takes no --{flag(name)}; options it takes: {takes}.'
                )

    def source(self, given: str | None) -> str | None:
        """The weights to use: those given, or the default ones.

        Raises:
            UserError: it needs weights and there are none.
        """
        if self.needs_weights and not (given or self.default_source):
            raise UserError(f'Extractor "{self.name}" needs --checkpoint: {self.weights}.')
        return (given or self.default_source) if self.needs_weights else None


def flag(name: str) -> str:
    """An option's name on the command line.

    >>> flag("size_px")
    'size'
    """
    return {"size_px": "size", "head_s": "head-s"}.get(name, name)


_FEATURES = "abaw_submit.features"
_SPEECH = ("layers", "head_s")
_PICTURE = ("pool", "mean", "std", "size_px", "prefix", "heads", "activation")
EXTRACTORS = {
    entry.name: entry
    for entry in (
        Entry(
            "mae",
            VISUAL,
            f"{_FEATURES}.visual:EncoderFeatures",
            None,
            "a checkpoint folder of `finetune` or `pretrain`, or a weights file of any family below",
            options=_PICTURE,
        ),
        Entry(
            "picture",
            VISUAL,
            f"{_FEATURES}.visual:EncoderFeatures",
            None,
            "the same: a folder, a file, a timm name, timm:NAME@FILE or hf-hub:OWNER/NAME",
            options=_PICTURE,
        ),
        Entry(
            "embedding",
            VISUAL,
            f"{_FEATURES}.visual:EncoderFeatures",
            None,
            "the same, as a second visual feature of a run ([run] embedding)",
            options=_PICTURE,
        ),
        Entry(
            "timm",
            VISUAL,
            f"{_FEATURES}.visual:EncoderFeatures",
            None,
            "the same, for a timm name such as vit_base_patch16_224.mae",
            options=_PICTURE,
        ),
        Entry("logmel", AUDIO, f"{_FEATURES}.logmel:LogMel", 136, "none", needs_weights=False),
        Entry(
            "hubert",
            AUDIO,
            f"{_FEATURES}.speech:Hubert",
            768,
            "a folder in the transformers format, or a hub name",
            "facebook/hubert-base-ls960",
            options=_SPEECH,
        ),
        Entry(
            "wav2vec2",
            AUDIO,
            f"{_FEATURES}.speech:Wav2Vec2",
            768,
            "a folder in the transformers format, or a hub name",
            "facebook/wav2vec2-base-960h",
            options=_SPEECH,
        ),
        Entry(
            "wavlm",
            AUDIO,
            f"{_FEATURES}.speech:WavLM",
            None,
            "a folder in the transformers format, or a hub name",
            "microsoft/wavlm-large",
            options=_SPEECH,
        ),
        Entry(
            "data2vec",
            AUDIO,
            f"{_FEATURES}.speech:Data2Vec",
            None,
            "a folder in the transformers format, or a hub name",
            "facebook/data2vec-audio-base-960h",
            options=_SPEECH,
        ),
        Entry(
            "whisper",
            AUDIO,
            f"{_FEATURES}.speech:Whisper",
            None,
            "a folder in the transformers format, or a hub name",
            "openai/whisper-base",
            options=_SPEECH,
        ),
        Entry(
            "audeering",
            AUDIO,
            f"{_FEATURES}.speech:Audeering",
            None,
            "a folder in the transformers format, or a hub name",
            "audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim",
            options=_SPEECH,
        ),
        Entry(
            "speech",
            AUDIO,
            f"{_FEATURES}.speech:SpeechModel",
            None,
            "any of these, torchaudio:NAME, torchaudio:NAME@FILE or a .pth of torchaudio",
            options=_SPEECH,
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
