"""The jobs of a run by name, and which of them a target asks for. What each needs is in the Snakefile."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from abaw_submit.errors import UserError, suggest
from abaw_submit.tasks import MTL
from abaw_submit.workflow.layout import RunLayout

# in the order of the work; those a run with `trained` takes over from the other run are left out there
STAGES = (
    "corpus",
    "crop",
    "sound",
    "pretrain",
    "plain",
    "split",
    "finetune",
    "features",
    "train",
    "ablate",
    "tables",
    "template",
    "predict",
    "ensemble",
    "smooth",
    "select",
    "apply",
    "submit",
    "report",
)
# what a multi-task model has no use for: its file is the mean of its folds, without a recipe
NOT_MTL = ("ablate", "tables", "ensemble", "smooth", "select", "apply")
BY_FOLD = ("finetune", "train", "ablate")
# of these one job does all folds: the crops are read once, and nothing is imported again
ALL_FOLDS = ("features", "predict")
BY_TASK = (*ALL_FOLDS, "split", "tables", "template", "ensemble", "smooth", "select", "apply", "submit")
OF_MEMBERS = (*ALL_FOLDS, "ensemble", "smooth", "select", "apply")  # these read or make a file for each fold
OF_NETWORKS = ("train", "predict", "ensemble", "smooth", "select", "apply")  # and for each kind of network
_EXTRACTORS = ("extract", "extract logmel", "extract visual", "extract vggish", "extract speech")
# the stages whose code runs in a job, where they are not called like it (`store.versions`)
RECORDS = {
    "corpus": ("demo-data",),
    "sound": _EXTRACTORS,
    "features": _EXTRACTORS,
    "plain": _EXTRACTORS,
    "ablate": ("train",),
    "tables": ("train", "ablate"),
    "ensemble": ("select",),
    "smooth": ("select",),
    "submit": ("format", "pack"),
}
_ONLY_TRAINING = (
    "pretrain",
    "plain",
    "split",
    "finetune",
    "train",
    "ablate",
    "tables",
    "ensemble",
    "smooth",
    "select",
)
_ONLY_TRAINED = ("template", "predict")  # scores of tracks that came after the training
GPU_STAGES = ("sound", "pretrain", "plain", "finetune", "features", "train", "ablate", "tables", "predict")
HEAVY_STAGES = (
    "pretrain",
    "plain",
    "finetune",
    "features",
    "train",
    "ablate",
    "tables",
    "predict",
)  # they import torch

_ENCODER = ("corpus", "crop", "pretrain", "split", "finetune")
_TRAIN = (*_ENCODER, "features", "sound", "train")
_SUBMISSION = (*_TRAIN, "template", "predict", "select", "apply", "submit")
TARGETS: dict[str, tuple[str, tuple[str, ...]]] = {
    "crop": ("Face crops of every video, with a ledger line for each official row", ("corpus", "crop")),
    "pretrain": ("Pre-train the masked autoencoder on other faces", ("corpus", "pretrain")),
    "folds": ("Leak-proof folds per task", ("corpus", "split")),
    "finetune": ("Fine-tune the encoder per task and fold", _ENCODER),
    "features": ("Visual and audio features of every row", (*_ENCODER, "features", "sound")),
    "train": ("The TMF of every task and fold", _TRAIN),
    "ensemble": ("Choose only the ensemble weights", (*_TRAIN, "ensemble")),
    "smooth": ("Choose only smoothing, calibration and thresholds", (*_TRAIN, "smooth")),
    "submission": ("Checked zips: the whole chain", _SUBMISSION),
    "ablate": (
        "The paper's tables: parts, features, filters; again without sound",
        (*_TRAIN, "plain", "ablate", "tables"),
    ),
    "report": ("One HTML page of the run", (*_SUBMISSION, "ablate", "report")),
}


@dataclass(frozen=True)
class Unit:
    """One job of the graph.

    Attributes:
        stage: one of STAGES.
        task: "au", "expr", "va", or "" where all tasks share it.
        part: a fold, an audio extractor, or "".
    """

    stage: str
    task: str = ""
    part: str = ""

    @property
    def name(self) -> str:
        """As in file names: "train_va_0"."""
        return "_".join(p for p in (self.stage, self.task, self.part.replace(":", ".")) if p)

    @property
    def label(self) -> str:
        """As people read it: "train VA, fold 0"."""
        part = f" {self.part}" if self.stage == "sound" else f", fold {self.part}" if self.part else ""
        return f"{self.stage}{' ' + self.task.upper() if self.task else ''}{part}"


def stage_units(layout: RunLayout, stage: str) -> list[Unit]:
    """The jobs of a stage in a run; [] where the run has no use for it.

    >>> from abaw_submit.workflow.settings import RunSettings
    >>> [u.name for u in stage_units(RunLayout(RunSettings(tasks="VA", folds=2)), "train")]
    ['train_va_0', 'train_va_1']
    """
    run = layout.run
    if stage in (_ONLY_TRAINING if run.trained else _ONLY_TRAINED):
        return []
    if stage == "sound":
        return [Unit(stage, "", sound) for sound in layout.sounds]
    keys = [key for key in run.task_keys if key != MTL.key or stage not in NOT_MTL]
    if stage in BY_TASK:
        keys = [key for key in keys if stage != "template" or layout.makes_template(key)]
        return [Unit(stage, key) for key in keys]
    if stage in BY_FOLD:
        keys = [k for k in keys if stage != "ablate" or run.sounds(k)]
        parts = layout.folds if stage == "ablate" else layout.members
        return [Unit(stage, key, part) for key in keys for part in parts]
    if (stage == "corpus" and not run.corpus) or (stage == "pretrain" and run.encoder):
        return []
    return [Unit(stage)]


def target_units(layout: RunLayout, target: str) -> list[Unit]:
    """All jobs that lead to a target, in the order of the work.

    Raises:
        UserError: no such target, or one that means nothing for a run whose folds another run trained.
    """
    if target not in TARGETS:
        raise UserError(f'No target "{target}". {suggest(target, TARGETS)}')
    stages = TARGETS[target][1]
    last = {"folds": "split", "submission": "submit"}.get(target, target)
    if layout.run.trained and last in _ONLY_TRAINING:
        raise UserError(
            f'[run] trained = "{layout.run.trained}": this run trains nothing, so it has no target {target}.'
        )
    if last in ("report", *NOT_MTL) and last_target(layout) != "report":
        raise UserError(
            f"A run of MTL alone has no {target}. Ask for submission, or add a task to [run] tasks."
        )
    return [unit for stage in STAGES if stage in stages for unit in stage_units(layout, stage)]


def last_target(layout: RunLayout) -> str:
    """The target that leaves nothing to do: the report, which a run of MTL alone has not."""
    return "submission" if set(layout.run.task_keys) == {MTL.key} else "report"


def maker_of(layout: RunLayout, path: str) -> Unit | None:
    """The job of a run that makes a file or folder, such as the weights of its own encoder.

    >>> from abaw_submit.workflow.settings import RunSettings
    >>> maker_of(RunLayout(RunSettings()), "checkpoints/demo/va/encoder_1/model.safetensors").name
    'finetune_va_1'
    """
    if not path:
        return None
    place = Path(os.path.normpath(path))
    for stage in STAGES:
        for unit in stage_units(layout, stage):
            for made in unit_results(layout, unit):
                if place == made or made in place.parents:
                    return unit
    return None


def unit_results(layout: RunLayout, unit: Unit) -> list[Path]:
    """What a job makes: folders and files with a stage's record, or plain files.

    >>> from abaw_submit.workflow.settings import RunSettings
    >>> [p.as_posix() for p in unit_results(RunLayout(RunSettings()), Unit("train", "va", "3"))]
    ['checkpoints/demo/va/fold_3']
    """
    key, networks = unit.task, layout.run.networks.values()
    results = {
        "corpus": lambda: [Path(layout.run.corpus)],
        "crop": lambda: [layout.crops],
        "sound": lambda: [layout.sound(unit.part)],
        "pretrain": lambda: [layout.mae],
        "split": lambda: [layout.splits(key)],
        "plain": lambda: [layout.plain_features],
        "template": lambda: [layout.template(key)],
        "finetune": lambda: [layout.encoder(key, unit.part)],
        "features": lambda: [layout.features(key, fold) for fold in layout.members],
        "train": lambda: [layout.model(key, unit.part, network) for network in networks],
        "ablate": lambda: [layout.visual_model(key, unit.part)],
        "predict": lambda: [
            path
            for fold in layout.members
            for network in networks
            for path in layout.member_files(key, fold, network)
        ],
        "tables": lambda: [layout.table(key, "folds"), layout.table(key, "filters")],
        "ensemble": lambda: [layout.recipe(key, "ensemble")],
        "smooth": lambda: [layout.recipe(key, "smooth")],
        "select": lambda: [layout.recipe(key)],
        "apply": lambda: [layout.scores(key)],
        "submit": lambda: [layout.prediction(key), layout.zip(key)],
        "report": lambda: [layout.score_table, layout.report],
    }
    return results[unit.stage]()
