"""Corpora with known truth, small enough to search in a moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from abaw_submit.scores.files import Scores
from abaw_submit.tasks import VA, Task

Corpus = tuple[dict[str, Scores], dict[str, tuple[np.ndarray, np.ndarray]]]


def slow(r: np.random.Generator, rows: int, outputs: int, sigma: float = 6) -> np.ndarray:
    """A slow curve of unit spread with its own level."""
    curve = gaussian_filter1d(r.normal(size=(rows, outputs)), sigma, axis=0) * np.sqrt(sigma) * 1.9
    return curve * 0.8 + r.normal(0, 0.6, outputs)


def make_corpus(
    task: Task, noises: dict[str, float | None], *, tracks: int = 20, rows: int = 60, seed: int = 0
) -> Corpus:
    """Truth, and members that are truth plus white noise of a given spread (None: noise alone)."""
    r = np.random.default_rng(seed)
    truth: dict[str, Any] = {}
    members: dict[str, dict[str, np.ndarray]] = {m: {} for m in noises}
    lean = np.linspace(-1.2, 0.3, task.outputs)
    for t in range(tracks):
        name = f"t{t:03d}"
        z = slow(r, rows, task.outputs)
        if task.name == "VA":
            labels = np.tanh(0.7 * z)
        elif task.name == "AU":
            labels = (z + lean > 0).astype(float)
        else:
            labels = (z - lean).argmax(axis=1)[:, None].astype(float)
        truth[name] = (labels.astype(np.float32), r.random(rows) > 0.05)
        for member, noise in noises.items():
            x = slow(r, rows, task.outputs) if noise is None else z + noise * r.normal(size=z.shape)
            if task.name == "VA":
                values = np.tanh(0.3 * x)
            elif task.name == "AU":
                values = 1 / (1 + np.exp(-2 * x))  # leaves out `lean`: half is the wrong threshold
            else:
                values = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
            members[member][name] = values.astype(np.float32)
    return {m: Scores(task, s) for m, s in members.items()}, truth


@pytest.fixture
def corpus() -> Callable[..., Corpus]:
    return make_corpus


@pytest.fixture
def noise_corpus() -> Callable[[int], Corpus]:
    """Members that know nothing of the truth: no step can gain anything."""
    return lambda seed: make_corpus(VA, {"a": None, "b": None}, tracks=20, rows=40, seed=seed)
