"""The families of speech weights, and which hidden layers are wanted of them. Standard library only."""

from __future__ import annotations

import re
from dataclasses import dataclass

from abaw_submit.errors import UserError


@dataclass(frozen=True)
class SpeechFamily:
    """What is common to the speech weights of one origin.

    Attributes:
        name: short name.
        title: what it is.
        model_type: as config.json calls it; "" for other formats.
        recognised_by: what in a folder or file tells it.
        source: where a team gets it.
        licence: as the authors state it, where known; a note, no legal advice.
    """

    name: str
    title: str
    model_type: str
    recognised_by: str
    source: str
    licence: str


_FOLDER = "config.json with model_type "
SPEECH_FAMILIES = {
    family.name: family
    for family in (
        SpeechFamily(
            "hubert", "HuBERT (Hsu et al. 2021)", "hubert", _FOLDER + "hubert",
            "huggingface.co/facebook/hubert-base-ls960, hubert-large-ll60k", "Apache-2.0",
        ),
        SpeechFamily(
            "wav2vec2", "wav2vec 2.0 (Baevski et al. 2020)", "wav2vec2", _FOLDER + "wav2vec2",
            "huggingface.co/facebook/wav2vec2-base-960h, wav2vec2-large-robust", "Apache-2.0",
        ),
        SpeechFamily(
            "wavlm", "WavLM (Chen et al. 2022)", "wavlm", _FOLDER + "wavlm",
            "huggingface.co/microsoft/wavlm-base-plus, wavlm-large", "see the model's card",
        ),
        SpeechFamily(
            "data2vec", "data2vec audio (Baevski et al. 2022)", "data2vec-audio", _FOLDER + "data2vec-audio",
            "huggingface.co/facebook/data2vec-audio-base-960h", "Apache-2.0",
        ),
        SpeechFamily(
            "whisper", "Whisper's encoder (Radford et al. 2022)", "whisper", _FOLDER + "whisper",
            "huggingface.co/openai/whisper-base, whisper-large-v3", "Apache-2.0",
        ),
        SpeechFamily(
            "audeering", "audeering's arousal, dominance and valence model (Wagner et al. 2023)", "wav2vec2",
            _FOLDER + "wav2vec2, and weights classifier.dense.*, classifier.out_proj.*",
            "huggingface.co/audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim", "CC BY-NC-SA 4.0",
        ),
        SpeechFamily(
            "torchaudio", "torchaudio's bundles: HuBERT, wav2vec 2.0, XLSR, WavLM", "",
            "torchaudio:NAME, or a .pth with encoder.transformer.layers.*",
            "download.pytorch.org/torchaudio/models (torchaudio.pipelines)", "MIT, per bundle",
        ),
    )
}  # fmt: skip


def layer_groups(words: str | None, count: int) -> list[list[int]]:
    """Which layers make the vector: each group is averaged, the groups follow each other.

    Layers are numbered 1 to `count`; negative numbers count from the last.

    Args:
        words: "last" (or None), "all", "mean:-4:" (a Python slice of the layers), or "6,9,12".
        count: layers that there are.

    Returns:
        Groups of layer numbers.

    >>> layer_groups("last", 12), layer_groups("mean:-4:", 12), layer_groups("6,-1", 12)
    ([[12]], [[9, 10, 11, 12]], [[6], [12]])

    Raises:
        UserError: another word, or a layer that is not there.
    """
    numbers = list(range(1, count + 1))
    if words in (None, "last"):
        return [[count]]
    if words == "all":
        return [[n] for n in numbers]
    text = str(words)
    span = re.fullmatch(r"mean:(-?\d*):(-?\d*)", text)
    if span is not None:
        begin, end = (int(part) if part not in ("", "-") else None for part in span.groups())
        if begin is not None and begin > 0:
            begin -= 1  # layers are counted from 1, and both ends of mean:6:9 are meant
        chosen = numbers[begin:end]
        if chosen:
            return [chosen]
        raise UserError(f'layers "{text}" takes none of the {count} layers.')
    try:
        picked = [int(part) for part in text.split(",")]
    except ValueError:
        raise UserError(f'Unknown layers "{text}". Expected last, all, mean:-4: or 6,9,12.') from None
    wrong = next((n for n in picked if not 1 <= abs(n) <= count), None)
    if wrong is not None:
        raise UserError(f"There is no layer {wrong}: the model has layers 1 to {count}.")
    return [[n if n > 0 else count + 1 + n] for n in picked]
