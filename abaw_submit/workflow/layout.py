"""The paths of a run together with what its settings say of them."""

from __future__ import annotations

from pathlib import Path

from abaw_submit.layout import OFFICIAL, Layout
from abaw_submit.workflow.settings import RunSettings


class RunLayout(Layout):
    """The paths of a run, relative to the folder it is started in, and what it is divided into.

    Args:
        run: its settings.
    """

    def __init__(self, run: RunSettings) -> None:
        super().__init__(run.name, run.trained)
        self.run = run

    @property
    def folds(self) -> tuple[str, ...]:
        """The cross-validation folds: "0", "1", …"""
        return tuple(str(k) for k in range(self.run.folds))

    @property
    def members(self) -> tuple[str, ...]:
        """All that is trained for a task: the folds, and the official split if it is wanted."""
        return (*self.folds, *([OFFICIAL] if self.run.official else []))

    @property
    def sounds(self) -> tuple[str, ...]:
        """The extractors beside the run's own encoder: the audio ones of all tasks, a second visual one."""
        return tuple(
            sorted({s for key in self.run.task_keys for s in (*self.run.sounds(key), *self.run.seen)})
        )

    @property
    def encoder_source(self) -> str:
        """What fine-tuning starts from: given weights, or the run's own."""
        return self.run.encoder or str(self.mae)

    def makes_template(self, key: str) -> bool:
        """Whether the rows to be submitted are those of the crops, for want of an official file."""
        return bool(self.run.trained) and not self.run.template(key)

    def template(self, key: str) -> Path:
        """The rows to be submitted: the organisers' file, or one made from the crops."""
        return self.made_template(key) if self.makes_template(key) else Path(self.run.template(key))
