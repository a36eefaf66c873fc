"""`weights` and `extractors`: what a file is, and a command that really extracts with it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from abaw_submit.cli import cli
from abaw_submit.errors import ProblemsFound, UserError
from abaw_submit.features.cache import read_features
from abaw_submit.models.encoder import build_vit
from abaw_submit.models.settings import VitSize
from abaw_submit.models.vggish import VGGish
from abaw_submit.models.weights.families import FAMILIES
from abaw_submit.models.weights.speech_families import SPEECH_FAMILIES


def run(*arguments: Any) -> Any:
    result = CliRunner().invoke(cli, [str(a) for a in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit | UserError):
        raise result.exception
    return result


@pytest.fixture
def mae(tmp_path: Path) -> Path:
    """A small masked autoencoder in the official format."""
    torch.manual_seed(0)
    state = build_vit(VitSize(32, 8, 64, 1, 4), pooled=False).state_dict()
    decoder = {"decoder_embed.weight": torch.zeros(4, 64), "mask_token": torch.zeros(1, 1, 4)}
    torch.save({"model": {**state, **decoder}}, tmp_path / "mae.pth")
    return tmp_path / "mae.pth"


def test_a_picture_file_is_told_and_its_command_extracts(mae: Path, tmp_path: Path, make_crops: Any) -> None:
    text = run("weights", mae, "--heads", 4).output
    for part in (
        "mae: masked autoencoders",
        "4 (given)",
        "decoder: 1 (decoder_embed.weight)",
        "sha256",
        "pool avg",
        "fc_norm starts afresh",
    ):
        assert part in text
    make_crops(tmp_path / "crops" / "102", rows=3)
    command = shlex.split(text.splitlines()[-1])
    line = [
        a.replace("crops/", f"{tmp_path}/crops").replace("features/", f"{tmp_path}/out/") for a in command
    ]
    assert line[:2] == ["abaw-submit", "extract"]
    result = run(*line[1:], "--jobs", 1)
    assert result.exit_code == 0, result.output
    assert read_features(tmp_path / "out" / "mae" / "102.h5").dim == 64


def test_what_does_not_load_is_exit_1_with_the_reason(mae: Path) -> None:
    result = run("weights", mae)
    assert isinstance(result.exception, ProblemsFound)
    assert "give --heads" in str(result.exception) or "--heads" in str(result.exception)
    table = json.loads(run("weights", mae, "--heads", 4, "--json").output)
    assert table["problem"] is None
    assert table["facts"]["keys used"] == "18"
    assert table["command"].endswith("--heads 4 --crops crops/ --out features/mae")


def test_a_speech_folder_and_vggish_are_told_too(tmp_path: Path) -> None:
    from transformers import WavLMConfig, WavLMModel

    config = WavLMConfig(
        hidden_size=24, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, conv_dim=(8,) * 7,
        num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=2,
    )  # fmt: skip
    WavLMModel(config).save_pretrained(tmp_path / "wavlm")
    text = run("weights", tmp_path / "wavlm", "--layers", "mean:-2:").output
    for part in (
        "wavlm: WavLM",
        "2 of 24; 50 vectors a second",
        "--extractor speech",
        "--layers mean:-2:",
        "assumed",
    ):
        assert part in text
    torch.save(VGGish((4, 6, 8, 8), 16, 10).state_dict(), tmp_path / "vggish.pth")
    np.savez(tmp_path / "pca.npz", pca_eigen_vectors=np.eye(10), pca_means=np.zeros((10, 1)))
    assert "--extractor vggish " in run("weights", tmp_path / "vggish.pth").output
    (tmp_path / "both").mkdir()
    for name in ("vggish.pth", "pca.npz"):
        (tmp_path / name).rename(tmp_path / "both" / name)
    assert "--extractor vggish-pca " in run("weights", tmp_path / "both").output


def test_options_without_effect_are_refused(mae: Path, tmp_path: Path, make_crops: Any) -> None:
    make_crops(tmp_path / "crops" / "102", rows=3)
    line = ["extract", "--crops", tmp_path / "crops", "--out", tmp_path / "o", "--checkpoint", mae]
    cases = (
        (["--extractor", "picture", "--layers", "last"], "takes no --layers"),
        (["--extractor", "picture", "--heads", "4", "--pool", "mean"], "Unknown pooling"),
        (["--extractor", "picture", "--heads", "4", "--mean", "1,2"], "mean has 2 numbers"),
        (["--extractor", "picture", "--heads", "4", "--views", "9"], "expected 1 to 8"),
        (
            ["--extractor", "logmel", "--videos", tmp_path, "--size", "64"],
            "takes no --size; options it takes: none",
        ),
        (["--extractor", "logmel", "--videos", tmp_path, "--views", "2"], "no further views"),
    )
    for more, message in cases:
        result = run(*line, *more)
        assert isinstance(result.exception, UserError), more
        assert message in str(result.exception)


def test_extractors_says_where_a_team_gets_every_family() -> None:
    text = run("extractors").output
    known = [(f.name, f.source) for f in FAMILIES.values()]
    for name, source in known + [(f.name, f.source) for f in SPEECH_FAMILIES.values()]:
        assert name in text
        assert source in text


def test_the_page_of_weights_is_current() -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "weights.md"
    fix = "run: abaw-submit weights --table > docs/reference/weights.md"
    assert page.read_text(encoding="utf-8") == run("weights", "--table").output, fix
