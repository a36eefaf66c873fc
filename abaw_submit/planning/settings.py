"""Settings of `plan`; standard library only, so that they can become options without heavy imports."""

from __future__ import annotations

from dataclasses import dataclass

from abaw_submit.config import Settings, setting


@dataclass(frozen=True)
class PlanSettings(Settings):
    """How candidates are fitted and scored."""

    crossfit_folds: int = setting(5, "folds of tracks for cross-fitting, at least 3", ge=3)
    group: tuple[str, ...] = setting(
        (), "regular expression of a track's group; default: its recording; may be given twice, as in select"
    )
    filters: int = setting(0, "smoothing filters to choose from; 0: as many as select", ge=0)
    diagnose: bool = setting(False, "spend the fifth on the official split's model alone, to learn from it")
    rate_hz: float = setting(30.0, "rows per second, for filters in seconds", gt=0)
    resamples: int = setting(2000, "bootstrap resamples for intervals", ge=1)
    seed: int = setting(0, "of the bootstrap")
