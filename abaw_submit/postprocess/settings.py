"""Settings of `select`. Needs only click and the standard library, so that the command line starts fast."""

from __future__ import annotations

from dataclasses import dataclass

import click

from abaw_submit.config import setting
from abaw_submit.errors import UserError, suggest

STEPS = ("ensemble", "smooth", "calibrate", "threshold")


@dataclass(frozen=True)
class SelectSettings:
    """Everything that can change what `select` chooses."""

    folds: int = setting(5, "Folds of cross-fitting.", type=click.IntRange(min=3))
    group: str | None = setting(
        None, "Regular expression for what tracks share; by default one recording's left, right and parts."
    )
    steps: str = setting(",".join(STEPS), "Steps to try; those that mean nothing for a task are skipped.")
    error_rate: float = setting(
        0.05, "How often a step that gains nothing may be kept.", type=click.FloatRange(0.0001, 0.5)
    )
    min_gain: float = setting(0.0, "Gain in the official score a step must show beyond its uncertainty.")
    filters: int = setting(
        0, "Number of filters to try; 0: 200 for VA, 60 for AU and EXPR.", type=click.IntRange(0, 2000)
    )
    longest_rows: int = setting(601, "The longest window tried, in rows.", type=click.IntRange(3, 100_001))
    rate_hz: float = setting(
        30.0, "Rows per second, for filters in seconds.", type=click.FloatRange(0.1, 1000)
    )
    min_run: int = setting(0, "Shortest run of an AU or expression in rows; 0: any.", type=click.IntRange(0))
    resamples: int = setting(2000, "Bootstrap resamples over groups of tracks.", type=click.IntRange(min=100))
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
