"""Where the files of a run lie. The one place that knows it; all paths are relative to the run's root."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from abaw_submit.workflow.settings import RunSettings

OFFICIAL = "official"


@dataclass(frozen=True)
class Layout:
    """The paths of a run.

    Attributes:
        run: its settings.
    """

    run: RunSettings

    @property
    def work(self) -> Path:
        """What is made on the way: crops, features, recipes, scores."""
        return Path("work") / self.run.name

    @property
    def checkpoints(self) -> Path:
        """The trained networks; those of another run where this one only uses them."""
        return Path("checkpoints") / (self.run.trained or self.run.name)

    @property
    def submissions(self) -> Path:
        """The prediction files, the zips and the report."""
        return Path("submissions") / self.run.name

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
    def crops(self) -> Path:
        """Face crops and ledgers."""
        return self.work / "crops"

    @property
    def mae(self) -> Path:
        """The pre-trained encoder, where the run makes one."""
        return self.checkpoints / "mae"

    @property
    def encoder_source(self) -> str:
        """What fine-tuning starts from: given weights, or the run's own."""
        return self.run.encoder or str(self.mae)

    def splits(self, key: str) -> Path:
        """The folds of a task."""
        return Path("splits") / f"{self.run.name}_{key}.json"

    def encoder(self, key: str, fold: str) -> Path:
        """The encoder fine-tuned for a fold."""
        return self.checkpoints / key / f"encoder_{fold}"

    def features(self, key: str, fold: str) -> Path:
        """What that encoder says about every row."""
        return self.work / "features" / f"mae_{key}_{fold}"

    def sound(self, extractor: str) -> Path:
        """Features of an extractor that no fold trains: audio, or a second visual one."""
        return self.work / "features" / extractor.replace(":", ".")

    def model(self, key: str, fold: str) -> Path:
        """The sequence model of a fold."""
        return self.checkpoints / key / f"fold_{fold}"

    def visual_model(self, key: str, fold: str) -> Path:
        """The sequence model of a fold that hears nothing, for comparison."""
        return self.checkpoints / key / f"visual_{fold}"

    def table(self, key: str, name: str) -> Path:
        """One of the paper's tables of a task."""
        return self.work / "ablations" / f"{key}_{name}.csv"

    def recipe(self, key: str, name: str = "recipe") -> Path:
        """What `select` chose: "recipe", or one kind of step alone: "ensemble", "smooth"."""
        return Path("work") / (self.run.trained or self.run.name) / key / name

    def makes_template(self, key: str) -> bool:
        """Whether the rows to be submitted are those of the crops, for want of an official file."""
        return bool(self.run.trained) and not self.run.template(key)

    def template(self, key: str) -> Path:
        """The rows to be submitted: the organisers' file, or one made from the crops."""
        if self.makes_template(key):
            return self.work / key / "template.txt"
        return Path(self.run.template(key))

    def member_scores(self, key: str, fold: str) -> Path:
        """What a fold says about the tracks to be submitted."""
        if self.run.trained:
            return self.work / key / f"scores_{fold}.h5"
        return self.model(key, fold) / "scores_test.h5"

    def scores(self, key: str) -> Path:
        """The folds together, after the recipe."""
        return self.work / key / "test_scores.h5"

    def official(self, key: str) -> Path:
        """The prediction file."""
        return self.submissions / f"{key.upper()}.txt"

    def zip(self, key: str) -> Path:
        """The submission."""
        return self.submissions / f"{key.upper()}.zip"

    @property
    def report(self) -> Path:
        """One page about the run."""
        return self.submissions / "report.html"

    @property
    def stages(self) -> Path:
        """What the graph knows of each of its jobs: stamps, states, logs, the plan."""
        return self.work / "stages"

    @property
    def plan(self) -> Path:
        """The plan of the last run."""
        return self.stages / "plan.json"

    @property
    def owned(self) -> tuple[Path, ...]:
        """The folders only this run writes to; `clean` looks nowhere else (and at `splits`)."""
        own = () if self.run.trained else (Path("checkpoints") / self.run.name,)
        return (self.work, *own, self.submissions)
