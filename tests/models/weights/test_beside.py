"""Small JSON files beside weights, damaged in the ways that files are: one sentence, never a traceback."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from abaw_submit.errors import UserError
from abaw_submit.models.weights.beside import fsfm_statistics, timm_config
from abaw_submit.models.weights.speech_transformers import _normalise

READERS: dict[str, Callable[[Path], Any]] = {
    "pretrain_ds_mean_std.txt": lambda path: fsfm_statistics(str(path.with_name("weights.pth"))),
    "config.json": lambda path: timm_config(path.parent),
    "preprocessor_config.json": lambda path: _normalise(path.parent, True, "wav2vec2"),
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(
    "content", [b"", b"{", b"[" * 100_000, b'{"mean": ' * 5_000, b"\xff\xfe\x00", b"not JSON"]
)
def test_a_damaged_file_is_one_sentence_with_its_name(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError) as refused:
        READERS[name](path)
    assert str(path) in str(refused.value)
    assert len(str(refused.value)) < 400


def test_statistics_in_the_authors_own_quotes(tmp_path: Path) -> None:
    path = tmp_path / "pretrain_ds_mean_std.txt"
    path.write_text("{'mean': [0.5, 0.4, 0.3], 'std': [0.2, 0.2, 0.1]}\n" * 2)
    assert fsfm_statistics(str(tmp_path / "weights.pth")) == ((0.5, 0.4, 0.3), (0.2, 0.2, 0.1))
    path.write_text("{'mean': [0.5, 0.4, 0.3], 'std': [0.2, 0, 0.1]}\n")
    with pytest.raises(UserError, match="std above 0"):
        fsfm_statistics(str(tmp_path / "weights.pth"))
    path.unlink()
    assert fsfm_statistics(str(tmp_path / "weights.pth")) is None


def test_what_the_feature_extractor_says_decides(tmp_path: Path) -> None:
    path = tmp_path / "preprocessor_config.json"
    for value in (True, False):
        path.write_text(f'{{"do_normalize": {str(value).lower()}}}')
        assert _normalise(tmp_path, True, "wav2vec2") == (value, "")
    path.write_text("{}")
    with pytest.raises(UserError, match="does not say do_normalize"):
        _normalise(tmp_path, True, "wav2vec2")


def test_another_programs_config_is_no_timm_config(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "hubert"}')
    assert timm_config(tmp_path) is None
