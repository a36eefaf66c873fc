"""Where the files of a run lie. The one place that knows it: graph, `status`, report and `plan` ask here.

```
splits/<name>_<task>.json
work/<name>/          crops, features, recipes and scores, and what the graph knows of its jobs
checkpoints/<name>/   mae, and for each task the encoders and sequence models of its folds
submissions/<name>/   prediction files, zips, the report
```
"""

from __future__ import annotations

from pathlib import Path

from abaw_submit.store import RECORD_NAME, record_path
from abaw_submit.tasks import MORE_TASKS, TASKS, Task, any_task

_SUFFIX = f".{RECORD_NAME}"  # of the record of a file that is alone
OFFICIAL = "official"  # the fold of the official split, where it is trained as well
VALIDATION_SCORES = "scores_validation.h5"  # in the folder of a model: its fold's validation tracks
TEST_SCORES = "scores_test.h5"  # and the tracks to be submitted
ENCODER, MODEL, VISUAL = "encoder", "fold", "visual"  # what is trained for a fold: <kind>_<fold>
MODEL_FOLDER = f"{MODEL}_{{fold}}"  # of the first network of a fold; others are beside it


def part_file(name: str, part: Task) -> str:
    """Name of one task's scores of a multi-task model.

    >>> from abaw_submit.tasks import VA
    >>> part_file("scores_test.h5", VA)
    'scores_test_va.h5'
    """
    stem, _, suffix = name.rpartition(".")
    return f"{stem}_{part.key}.{suffix}"


class Layout:
    """The paths of a run.

    Args:
        name: the run's name.
        trained: name of the run whose networks and recipes it uses; "" where it trains its own.
        root: the folder that holds `work`, `checkpoints`, `submissions` and `splits`.
    """

    def __init__(self, name: str, trained: str = "", root: Path = Path()) -> None:
        self.name, self.trained, self.root = name, trained, root

    @classmethod
    def of_work(cls, work: Path) -> Layout:
        """The run whose work folder this is.

        >>> Layout.of_work(Path("/data/work/demo")).submissions.as_posix()
        '/data/submissions/demo'
        """
        return cls(work.name, root=work.parent.parent)

    @property
    def work(self) -> Path:
        """What is made on the way: crops, features, recipes, scores."""
        return self.root / "work" / self.name

    @property
    def checkpoints(self) -> Path:
        """The trained networks; those of another run where this one only uses them."""
        return self.root / "checkpoints" / (self.trained or self.name)

    @property
    def submissions(self) -> Path:
        """The prediction files, the zips and the report."""
        return self.root / "submissions" / self.name

    @property
    def crops(self) -> Path:
        """Face crops and ledgers."""
        return self.work / "crops"

    @property
    def mae(self) -> Path:
        """The pre-trained encoder, where the run makes one."""
        return self.checkpoints / "mae"

    def splits(self, key: str) -> Path:
        """The folds of a task."""
        return self.root / "splits" / f"{self.name}_{key}.json"

    def encoder(self, key: str, fold: str) -> Path:
        """The encoder fine-tuned for a fold."""
        return self.checkpoints / key / f"{ENCODER}_{fold}"

    def model(self, key: str, fold: str, folder: str = MODEL_FOLDER) -> Path:
        """A sequence model of a fold; `folder` is one of `RunSettings.networks`, the first by default."""
        return self.checkpoints / key / folder.format(fold=fold)

    def visual_model(self, key: str, fold: str) -> Path:
        """The sequence model of a fold that hears nothing, for comparison."""
        return self.checkpoints / key / f"{VISUAL}_{fold}"

    def validation_scores(self, key: str, kind: str = MODEL) -> list[Path]:
        """The out-of-fold scores that are there, in fold order; the official split is no fold of these."""
        return [
            p for p in self.of_folds(key, kind, VALIDATION_SCORES) if p.parent.name != f"{kind}_{OFFICIAL}"
        ]

    def trained_folds(self, key: str) -> list[Path]:
        """The sequence models that are there and whole, the official split's with them."""
        return [path.parent for path in self.of_folds(key, MODEL, RECORD_NAME)]

    def of_folds(self, key: str, kind: str, file: str) -> list[Path]:
        """A file of what was trained for each fold, where it is there, in fold order, "official" last."""
        found = (self.checkpoints / key).glob(f"{kind}_*/{file}")
        # fold_0_seed1 is a second network of fold 0: a member of the recipe
        return sorted(path for path in found if "_seed" not in path.parent.name)

    def features(self, key: str, fold: str) -> Path:
        """What a fold's encoder says about every row."""
        return self.work / "features" / f"mae_{key}_{fold}"

    @property
    def plain_features(self) -> Path:
        """What the encoder says before any fine-tuning, for comparison."""
        return self.work / "features" / "mae_plain"

    def sound(self, extractor: str) -> Path:
        """Features of an extractor that no fold trains: audio, or a second visual one."""
        return self.work / "features" / extractor.replace(":", ".")

    def table(self, key: str, name: str) -> Path:
        """One of the paper's tables of a task."""
        return self.work / "ablations" / f"{key}_{name}.csv"

    def recipe(self, key: str, name: str = "recipe") -> Path:
        """What `select` chose: "recipe", or one kind of step alone: "ensemble", "smooth"."""
        return self.root / "work" / (self.trained or self.name) / key / name

    def made_template(self, key: str) -> Path:
        """Rows to be submitted that were made from the crops, for want of an official file."""
        return self.work / key / "template.txt"

    def member_scores(self, key: str, fold: str, folder: str = MODEL_FOLDER) -> Path:
        """What a sequence model of a fold says about the tracks to be submitted."""
        model = self.model(key, fold, folder)
        if self.trained:
            return self.work / key / f"scores_{model.name.removeprefix(f'{MODEL}_')}.h5"
        return model / TEST_SCORES

    def member_files(self, key: str, fold: str, folder: str = MODEL_FOLDER) -> list[Path]:
        """The files of `member_scores`: itself, or for MTL one for each task."""
        path, parts = self.member_scores(key, fold, folder), any_task(key).parts
        return [path.with_name(part_file(path.name, part)) for part in parts] if len(parts) > 1 else [path]

    def scores(self, key: str) -> Path:
        """The folds together, after the recipe."""
        return self.work / key / "test_scores.h5"

    def prediction(self, key: str) -> Path:
        """The prediction file."""
        return self.submissions / f"{key.upper()}.txt"

    def zip(self, key: str) -> Path:
        """The submission."""
        return self.submissions / f"{key.upper()}.zip"

    def submission_plan(self, key: str) -> Path:
        """The submissions that `plan` built, where the run asks for them."""
        return self.submissions / f"plan_{key}"

    @property
    def report(self) -> Path:
        """One page about the run."""
        return self.submissions / "report.html"

    @property
    def score_table(self) -> Path:
        """The scores of the run, as `report --table` prints them."""
        return self.submissions / "scores.txt"

    @property
    def stages(self) -> Path:
        """What the graph knows of each of its jobs: stamps, states, logs, the plan."""
        return self.work / "stages"

    @property
    def states(self) -> Path:
        """How each job goes, or went the last time."""
        return self.stages / "state"

    @property
    def graph(self) -> Path:
        """What the last run told its jobs (`workflow.graph`)."""
        return self.stages / "graph.json"

    @property
    def config(self) -> Path:
        """The config as it was when the last run began: what its jobs read."""
        return self.stages / "config.toml"

    @property
    def owned(self) -> tuple[Path, ...]:
        """The folders only this run writes to; `clean` looks nowhere else (and at its `splits`)."""
        own = () if self.trained else (self.checkpoints,)
        return (self.work, *own, self.submissions)

    def recorded(self) -> list[Path]:
        """All results of its stages that have a record, but those of single tracks, sorted."""
        files = [p for folder in (self.work, self.checkpoints) for p in folder.rglob(f"*{RECORD_NAME}")]
        whole = [p for p in files if p.parent.parent != self.crops]
        made = [p.parent if p.name == RECORD_NAME else p.with_name(p.name[: -len(_SUFFIX)]) for p in whole]
        splits = [self.splits(task.key) for task in (*TASKS.values(), *MORE_TASKS.values())]
        return sorted(made) + [path for path in splits if record_path(path).is_file()]
