"""What an extraction is asked for, and what became of it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from abaw_submit.errors import UserError
from abaw_submit.features.registry import AUDIO, Entry, get_extractor
from abaw_submit.features.views import check_views
from abaw_submit.models.weights.options import WeightOptions


@dataclass(frozen=True)
class Extraction:
    """What is extracted, and by whom.

    Attributes:
        extractor: name in the registry, or "module:attribute".
        out: folder of the features files.
        checkpoint: the extractor's weights; None takes its default ones.
        batch: pictures at a time.
        device: "auto", "cpu", "cuda".
        precision: "auto", "no", "fp16" or "bf16".
        threads: threads that decode pictures for one process.
        options: what is said of the weights beside where they are.
        views: views of each crop: 1 is the crop alone, 2 adds its mirror image, more are jittered.
        merge: "mean" of all views, or "keep" them beside the first, for training.
    """

    extractor: str
    out: Path
    checkpoint: str | None = None
    batch: int = 64
    device: str = "auto"
    precision: str = "auto"
    threads: int = 1
    options: WeightOptions = field(default_factory=WeightOptions)
    views: int = 1
    merge: str = "mean"

    @property
    def entry(self) -> Entry:
        """The extractor in the registry."""
        return get_extractor(self.extractor)

    @property
    def source(self) -> str | None:
        """Its weights: those given, or the default ones."""
        return self.entry.source(self.checkpoint)

    @property
    def listens(self) -> bool:
        """Whether it needs the videos, not the crops."""
        return self.entry.kind == AUDIO

    def check(self, videos: Sequence[Path]) -> None:
        """Refuse what cannot be.

        Raises:
            UserError: no such extractor, no weights, options it does not take, or no videos to listen to.
        """
        entry, _ = self.entry, self.source
        check_views(self.views, self.merge)
        if self.views > 1 and self.listens:
            raise UserError(f'Extractor "{entry.name}" listens: it has no further views of a crop.')
        entry.check_options(self.options)
        if self.listens and not videos:
            raise UserError(f'Extractor "{entry.name}" listens to the videos: give --videos.')

    def resolved_precision(self) -> str:
        """The precision that is meant here, so that "auto" on a GPU and on a CPU are two results."""
        if not self.entry.needs_weights:
            return "no"
        from abaw_submit.models.device import pick_device, resolve_precision

        return resolve_precision(pick_device(self.device), self.precision)

    def on_gpu(self) -> bool:
        """Whether a GPU computes it."""
        if not self.entry.needs_weights:
            return False
        from abaw_submit.models.device import pick_device

        return pick_device(self.device).type != "cpu"


@dataclass(frozen=True)
class TrackResult:
    """What became of one track; `problem` is None if its file is there, whole and up to date."""

    track: str
    written: bool = False
    rows: int = 0
    valid_rows: int = 0
    problem: str | None = None


@dataclass(frozen=True)
class ExtractReport:
    """What became of all tracks, in name order; `fresh` is False when there was nothing to do.

    `notes` says what was assumed of the weights.
    """

    results: list[TrackResult]
    fresh: bool = True
    notes: tuple[str, ...] = ()

    @property
    def failures(self) -> list[tuple[str, str]]:
        """Tracks that have no features now, and why."""
        return [(r.track, r.problem) for r in self.results if r.problem is not None]


def load_extractors(jobs: Sequence[Extraction]) -> tuple[Any, ...]:
    """The extractors of some jobs, loaded once in each process."""
    return _load(tuple((j.entry, j.source, j.device, j.precision, j.options) for j in jobs))


@lru_cache(maxsize=1)
def _load(wanted: tuple[tuple[Entry, str | None, str, str, WeightOptions], ...]) -> tuple[Any, ...]:
    if any(entry.needs_weights or entry.kind == AUDIO for entry, *_ in wanted):
        import torch

        # one thread a process: the cores are used over tracks, and sums do not depend on their number
        torch.set_num_threads(1)
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(1)
    return tuple(
        entry.create(source, device, precision, options)
        for entry, source, device, precision, options in wanted
    )
