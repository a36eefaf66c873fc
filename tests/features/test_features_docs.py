"""The examples of docs/how-to/add-an-extractor.md work as they stand."""

import re
from pathlib import Path

import numpy as np
import pytest

from abaw_submit.audio.sound import RATE_HZ
from abaw_submit.features.audio import audio_features
from abaw_submit.features.visual import visual_features

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "add-an-extractor.md"


@pytest.fixture
def examples():
    names = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        exec(block, names)
    return names


def test_the_visual_one(examples, tmp_path, make_crops):
    made, _ = visual_features(make_crops(tmp_path / "102", rows=3), [(examples["MeanColour"](), 1)])
    assert made[0].shape == (1, 3, 3)
    assert made[0].all()


def test_the_audio_one(examples, tmp_path, make_video):
    level = np.repeat([0.1, 0.5], 12 * RATE_HZ)
    path = make_video(tmp_path / "a.mkv", sound=level)
    values, valid = audio_features(path, np.arange(0, 24, 0.25), examples["Level"]())
    assert valid.all()
    np.testing.assert_allclose(values[:46, 0], 0.1, atol=0.01)
    np.testing.assert_allclose(values[50:, 0], 0.5, atol=0.01)
