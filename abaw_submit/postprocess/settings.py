"""Settings of `select`. Needs only the standard library, so that the command line starts fast."""

from __future__ import annotations

from dataclasses import dataclass

from abaw_submit.config import Settings, setting
from abaw_submit.errors import UserError, suggest

STEPS = ("ensemble", "smooth", "calibrate", "threshold")


@dataclass(frozen=True)
class SelectSettings(Settings):
    """Everything that can change what `select` chooses."""

    folds: int = setting(5, "Folds of cross-fitting.", ge=3)
    group: str | None = setting(
        None, "Regular expression for what tracks share; by default one recording's left, right and parts."
    )
    steps: str = setting(",".join(STEPS), "Steps to try; those that mean nothing for a task are skipped.")
    error_rate: float = setting(0.05, "How often a step that gains nothing may be kept.", ge=0.0001, le=0.5)
    min_gain: float = setting(0.0, "Gain in the official score a step must show beyond its uncertainty.")
    filters: int = setting(0, "Number of filters to try; 0: 200 for VA, 60 for AU and EXPR.", ge=0, le=2000)
    longest_rows: int = setting(601, "The longest window tried, in rows.", ge=3, le=100_001)
    rate_hz: float = setting(30.0, "Rows per second, for filters in seconds.", ge=0.1, le=1000)
    min_run: int = setting(0, "Shortest run of an AU or expression in rows; 0: any.", ge=0)
    resamples: int = setting(2000, "Bootstrap resamples over groups of tracks.", ge=100)
    seed: int = setting(0, "Seed of the bootstrap.")

    def step_names(self) -> tuple[str, ...]:
        """The steps asked for.

        Raises:
            UserError: an unknown step.
        """
        names = tuple(s.strip() for s in self.steps.split(",") if s.strip())
        for name in names:
            if name not in STEPS:
                raise UserError(f'Unknown step "{name}". {suggest(name, STEPS)}')
        return names
