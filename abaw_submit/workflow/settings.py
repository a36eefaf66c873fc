"""The `[run]` section of a config: what a run is called, what it reads and how it is divided."""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path
from typing import Any

from abaw_submit.config import read_toml, setting
from abaw_submit.errors import UserError, suggest
from abaw_submit.features.registry import AUDIO, EXTRACTORS
from abaw_submit.models.sequence.registry import MODELS
from abaw_submit.tasks import MTL, TASKS, any_task
from abaw_submit.workers import cores

# letters of any alphabet, digits, spaces, dots, hyphens: never a separator, a wildcard or a hidden name
_NAME = re.compile(r"\w([\w .+-]*[\w+-])?")
_VARIABLE = re.compile(r"\$(\w+|\{[^}]*\})")
MIN_FOLDS = 2
EMBEDDING = "embedding"  # the extractor of [run] embedding


@dataclasses.dataclass(frozen=True)
class RunSettings:
    """The `[run]` section. Paths are relative to the folder the run is started in."""

    name: str = setting("demo", "name of the run: checkpoints/<name>, submissions/<name>, work/<name>")
    tasks: str = setting("AU EXPR VA", "tasks, separated by spaces; MTL: one model of all three")
    folds: int = setting(5, "cross-validation folds")
    official: bool = setting(False, "train the official split as well, as one more member")
    jobs: int = setting(0, "stages run side by side, such as folds; 0: one per processor core")
    threads: int = setting(1, "processor threads of one training; another number changes the last digits")
    models: str = setting(
        "", "sequence models trained side by side, each a member of the ensemble; empty: the one of [train]"
    )
    plan: str = setting(
        "",
        "tasks whose five submissions are built by `plan` beside the report, separated by spaces",
    )
    seeds: int = setting(1, "networks of each sequence model that differ in their seed, each one more member")
    temp: bool = setting(False, "delete the visual features once nothing needs them")
    corpus: str = setting("", "folder for the synthetic corpus, if the run makes one")
    videos: str = setting("", "folder of the videos; its sub-folders are searched too")
    crops: str = setting("", 'folder of the organisers\' crops, for [crop] detector = "official"')
    annotations: str = setting("", "root folder of the official annotations")
    faces: str = setting("", "folder of face pictures that are not Aff-Wild2, for pre-training")
    encoder: str = setting("", "weights to start fine-tuning from; empty: pre-train on `faces`")
    template_au: str = setting("", "official AU template, or list of test tracks")
    template_expr: str = setting("", "official EXPR template, or list of test tracks")
    template_va: str = setting("", "official VA template, or list of test tracks")
    template_mtl: str = setting("", "the organisers' multi-task list of the rows to submit")
    audio_au: str = setting("", "audio extractors for AU, separated by spaces")
    audio_expr: str = setting("", "audio extractors for EXPR, separated by spaces")
    audio_va: str = setting("", "audio extractors for VA, separated by spaces")
    audio_mtl: str = setting("", "audio extractors for MTL, separated by spaces")
    embedding: str = setting(
        "", "weights of a second visual feature, such as an expression embedding: what `weights` takes"
    )
    trained: str = setting("", "name of a run whose trained folds and recipes are used; nothing is trained")

    @property
    def task_keys(self) -> tuple[str, ...]:
        """The tasks as in file names: "au", "expr", "va"."""
        return tuple(task.lower() for task in self.tasks.split())

    @property
    def planned(self) -> tuple[str, ...]:
        """The tasks of `plan` that the run has, as in file names; none for a run that trains nothing."""
        wanted = self.plan.lower().split()
        return () if self.trained else tuple(key for key in self.task_keys if key in wanted)

    def template(self, key: str) -> str:
        """The template of a task, or ""."""
        return str(getattr(self, f"template_{key}"))

    def templates(self, key: str) -> list[str]:
        """The lists of a task's test tracks, with their rows; of MTL those of the tasks it is made of."""
        parts = any_task(key).parts
        return [path for part in parts if (path := self.template(part.key))]

    def sounds(self, key: str) -> tuple[str, ...]:
        """The audio extractors of a task, in the order their numbers are concatenated."""
        return tuple(str(getattr(self, f"audio_{key}")).split())

    @property
    def side_by_side(self) -> int:
        """How many stages run at once: `jobs`, or one per core."""
        return self.jobs or cores()

    @property
    def networks(self) -> dict[str, str]:
        """What is trained in each fold: the member's name -> its folder, {fold} for the fold's name.

        >>> RunSettings(models="tmf gru", seeds=2).networks["gru_seed1"]
        'gru_{fold}_seed1'
        """
        found = {}
        for at, model in enumerate(self.models.split() or ["tmf"]):
            for seed in range(self.seeds):
                more = f"_seed{seed}" if seed else ""
                found[model + more] = f"{model if at else 'fold'}_{{fold}}{more}"
        return found

    @property
    def seen(self) -> tuple[str, ...]:
        """The extractors that look at the crops beside the run's own encoder, for every task."""
        return (EMBEDDING,) if self.embedding else ()


def load_run(path: Path | str, *, check_environment: bool = True, **given: Any) -> RunSettings:
    """The `[run]` section of a config, with what was given on the command line put over it.

    Args:
        path: the TOML file.
        check_environment: whether `$NAME` must be set; False for those who only want the run's name.
        given: settings that replace those of the file; None is not given.

    Raises:
        UserError: naming everything that is wrong with it.
    """
    written = read_toml(path).get("run", {})
    if not isinstance(written, dict):
        raise UserError(
            f"{path}: run is {type(written).__name__}; expected one section [run] of keys and values."
        )
    section = {
        **written,
        **{key: value for key, value in given.items() if value is not None},
    }
    fields = {f.name: f for f in dataclasses.fields(RunSettings)}
    problems = []
    values: dict[str, Any] = {}
    for key, value in section.items():
        if key not in fields:
            problems.append(f'unknown key "{key}". {suggest(key, fields)}')
            continue
        expected = type(fields[key].default)
        if type(value) is not expected:
            problems.append(f"{key} = {value!r}: expected {_kind(expected)}, found {_kind(type(value))}.")
            continue
        values[key] = _expand(key, value, problems, check_environment) if isinstance(value, str) else value
    run = RunSettings(**values)
    problems += _problems(run)
    if problems:
        raise UserError(f"{path}, [run]: " + "\n  ".join(problems))
    return run


def _kind(of: type) -> str:
    """A type of a TOML value in plain words."""
    return {int: "a whole number", str: "text", bool: "true or false", float: "a number"}.get(of, "a list")


def _expand(key: str, value: str, problems: list[str], check: bool) -> str:
    """`$NAME` becomes the environment variable's value; one that is not set is a problem."""
    for match in _VARIABLE.finditer(value):
        name = match[1].strip("{}")
        if check and name not in os.environ:
            problems.append(f'{key} = "{value}": the environment variable {name} is not set.')
    return os.path.expanduser(os.path.expandvars(value))


def _problems(run: RunSettings) -> list[str]:
    problems = [name_problem(key, getattr(run, key)) for key in ("name", "trained")]
    names = run.tasks.split()
    known = {**TASKS, MTL.name: MTL}
    unknown = [n for n in names if n.upper() not in known]
    problems += [f'tasks: no task "{n}". {suggest(n.upper(), known)}' for n in unknown]
    if not names:
        problems.append(f"tasks is empty; expected some of {' '.join(TASKS)}.")
    if len(set(run.task_keys)) < len(names):
        problems.append(f'tasks = "{run.tasks}" names a task twice.')
    if run.trained and MTL.key in run.task_keys:
        problems.append("tasks: a run that uses the folds of another one has no MTL. Use predict and format.")
    models = run.models.split()
    problems += [f'models: no model "{m}". {suggest(m, MODELS)}' for m in models if m not in MODELS]
    if len(set(models)) < len(models):
        problems.append(f'models = "{run.models}" names a model twice; `seeds` trains one several times.')
    for key, least in (("folds", MIN_FOLDS), ("jobs", 0), ("threads", 1), ("seeds", 1)):
        if getattr(run, key) < least:
            problems.append(f"{key} = {getattr(run, key)}: expected {least} or more.")
    problems += [
        f'plan: no task "{p}". {suggest(p.upper(), TASKS)}'
        for p in run.plan.split()
        if p.upper() not in TASKS
    ]
    audio = sorted(name for name, entry in EXTRACTORS.items() if entry.kind == AUDIO)
    if run.trained == run.name:
        problems.append(f'trained = "{run.trained}" is this run itself; give it another name.')
    for task in known.values():
        if len(set(run.sounds(task.key))) < len(run.sounds(task.key)):
            problems.append(f"audio_{task.key} names an extractor twice.")
        problems += [
            f'audio_{task.key}: no audio extractor "{sound}". {suggest(sound, audio)}'
            for sound in run.sounds(task.key)
            if sound not in audio and ":" not in sound
        ]
    return [problem for problem in problems if problem]


def name_problem(key: str, name: str) -> str:
    """What is wrong with the name of a run, or ""."""
    if not name and key == "trained":
        return ""
    if not _NAME.fullmatch(name):
        return (
            f'{key} = "{name}": expected letters, digits, spaces and . _ + -, beginning with a letter or'
            " digit; it becomes a folder's name."
        )
    return ""
