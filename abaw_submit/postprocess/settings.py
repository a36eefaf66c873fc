"""Settings of `select`. Needs only the standard library, so that the command line starts fast."""

from __future__ import annotations

from dataclasses import dataclass

from abaw_submit.config import Settings, setting
from abaw_submit.errors import UserError, suggest

STEPS = ("ensemble", "smooth", "calibrate", "stack", "pool", "threshold")


@dataclass(frozen=True)
class SelectSettings(Settings):
    """Everything that can change what `select` chooses."""

    folds: int = setting(5, "Folds of cross-fitting.", ge=3)
    group: tuple[str, ...] = setting(
        (),
        "Regular expression for what tracks share; by default one recording's left, right and parts."
        " Given twice (person and film): a held-out fold shares neither.",
    )
    pool: str = setting(
        "auto",
        "VA: what tracks may share that gives them a common level, such as a film: a regular expression;"
        " auto: the groupings given and the parts of names like sub3_vid10; none.",
    )
    steps: str = setting(",".join(STEPS), "Steps to try; those that mean nothing for a task are skipped.")
    rule: str = setting(
        "expected",
        "When a step stays. expected: if it may be expected to gain; the priors of EXPR and the stacked"
        " member if they gain more than one standard error. proven: only if the gain is significant.",
        choices=("expected", "proven"),
    )
    error_rate: float = setting(
        0.05, "For --rule proven: how often a step that gains nothing may be kept.", ge=0.0001, le=0.5
    )
    average: bool = setting(True, "Average the recipe with those fitted without each fold.")
    monotone: bool = setting(
        False, "VA: bend what comes out along a rising curve (isotonic) that is fitted to the truth."
    )
    min_gain: float = setting(0.0, "Gain in the official score a step must show beyond that.")
    filters: int = setting(0, "Number of filters to try; 0: 60 for VA, 32 for AU and EXPR.", ge=0, le=2000)
    longest_rows: int = setting(601, "The longest window tried, in rows.", ge=3, le=100_001)
    rate_hz: float = setting(30.0, "Rows per second, for filters in seconds.", ge=0.1, le=1000)
    min_run: int = setting(0, "Shortest run of an AU or expression in rows; 0: any.", ge=0)
    other_labels: bool = setting(
        False, "Take members trained on other tasks' labels too (MTL), against the uni-task rule."
    )
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
