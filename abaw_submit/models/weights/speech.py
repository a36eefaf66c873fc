"""One loader for speech weights: a folder, a file or a name to a `SpeechEncoder`, exactly or not at all."""

from __future__ import annotations

from pathlib import Path

from abaw_submit.errors import UserError
from abaw_submit.models.speech import SpeechEncoder
from abaw_submit.models.weights.hub import hub_folder
from abaw_submit.models.weights.read import SUFFIXES, read_file
from abaw_submit.models.weights.speech_torchaudio import PREFIX, is_torchaudio, load_bundle, load_file
from abaw_submit.models.weights.speech_transformers import load_folder


def load_speech(source: str, *, with_head: bool = False, family: str | None = None) -> SpeechEncoder:
    """A speech model with trained weights, in evaluation mode.

    Args:
        source: a folder in transformers' format; a hub name `owner/name`; a `.pth` of torchaudio;
            `torchaudio:NAME`; `torchaudio:NAME@FILE`.
        with_head: its own head is wanted too.
        family: it has to be of this family.

    Raises:
        UserError: nothing there, another family, or weights that are not exactly the model's.
    """
    made = _load(source, with_head)
    found = made.spec.family
    same = found == family or (found, family) == ("audeering", "wav2vec2")
    if family is not None and not same:
        raise UserError(f"{source} is a {found} model; expected {family}. The extractor speech takes any.")
    if with_head and made.head is None:
        raise UserError(f"{source} has no emotion head. Leave --head-s out, or give audeering's model.")
    return made


def _load(source: str, with_head: bool) -> SpeechEncoder:
    if source.startswith(PREFIX):
        return load_bundle(source)
    path = Path(source)
    if path.is_dir():
        return load_folder(path, with_head)
    if path.is_file():
        if not is_torchaudio(read_file(path).state):
            raise UserError(
                f"{path} is not a speech model in torchaudio's format.\n"
                "Models of other libraries come as a folder with config.json, or as a hub name."
            )
        return load_file(path)
    if path.suffix in SUFFIXES or source.count("/") != 1 or source.startswith((".", "/")):
        raise UserError(
            f"No speech weights at {source}: expected a folder with config.json, a .pth of torchaudio, or a"
            " hub name OWNER/NAME."
        )
    return load_folder(hub_folder(source), with_head)
