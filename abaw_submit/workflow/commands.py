"""The command lines of each job: what a person would type, with the run's paths filled in."""

from __future__ import annotations

from pathlib import Path

from abaw_submit.corpus.multitask import multitask_lists
from abaw_submit.layout import VALIDATION_SCORES
from abaw_submit.tasks import EDITIONS, MTL, any_task, get_task
from abaw_submit.workflow.layout import RunLayout
from abaw_submit.workflow.settings import EMBEDDING
from abaw_submit.workflow.units import Unit

Command = list[str]


def unit_commands(layout: RunLayout, unit: Unit, config: Path, jobs: int = 1) -> list[Command]:
    """The commands of a job, in order, without the program's name.

    Args:
        layout: the run's paths.
        unit: the job.
        config: the run's config, which fills in the settings.
        jobs: worker processes of the stages that share out their work themselves.
    """
    made = _MAKERS[unit.stage](layout, unit, str(jobs))
    return [[*command, "-c", str(config)] for command in made]


def _corpus(layout: RunLayout, unit: Unit, jobs: str) -> list[Command]:
    return [["demo-data", layout.run.corpus, "--jobs", jobs]]


def _crop(layout: RunLayout, unit: Unit, jobs: str) -> list[Command]:
    run = layout.run
    lists = dict.fromkeys(path for key in run.task_keys for path in run.templates(key))
    rows = _each("--rows-from", [run.annotations, *lists])
    given = [run.videos, *([run.crops] if run.crops else [])]
    return [["crop", *given, "--out", str(layout.crops), *rows, "--jobs", jobs]]


def _sound(layout: RunLayout, unit: Unit, jobs: str) -> list[Command]:
    where = ["--crops", str(layout.crops), "--out", str(layout.sound(unit.part))]
    if unit.part == EMBEDDING:
        where = ["--checkpoint", layout.run.embedding, *where]
    else:
        where = ["--videos", layout.run.videos, *where]
    return [["extract", "--extractor", unit.part, *where, "--jobs", jobs]]


def _pretrain(layout: RunLayout, unit: Unit, jobs: str) -> list[Command]:
    return [["pretrain", layout.run.faces, "--out", str(layout.mae)]]


def _plain(layout: RunLayout, unit: Unit, jobs: str) -> list[Command]:
    weights = ["--checkpoint", layout.encoder_source, "--out", str(layout.plain_features)]
    return [["extract", "--extractor", "mae", "--crops", str(layout.crops), "--jobs", jobs, *weights]]


def _split(layout: RunLayout, unit: Unit, jobs: str) -> list[Command]:
    run = layout.run
    command = ["split", *_task(unit), "--annotations", run.annotations, "--folds", str(run.folds)]
    test = _each("--test", list(dict.fromkeys([*run.templates(unit.task), run.template(unit.task)])))
    return [[*command, *test, "--out", str(layout.splits(unit.task))]]


def _finetune(layout: RunLayout, unit: Unit, jobs: str) -> list[Command]:
    run, key = layout.run, unit.task
    data = ["--crops", str(layout.crops), "--annotations", run.annotations]
    out = ["--encoder", layout.encoder_source, "--out", str(layout.encoder(key, unit.part))]
    return [["finetune", *_task(unit), *data, *_fold(layout, unit), *_tests(layout, key), *out]]


def _features(layout: RunLayout, unit: Unit, jobs: str) -> list[Command]:
    key = unit.task
    wanted = _each("--tracks", [*map(str, annotation_places(layout, key)), layout.run.template(key)])
    first, *more = [
        (str(layout.encoder(key, fold)), str(layout.features(key, fold))) for fold in layout.members
    ]
    weights = ["--checkpoint", first[0], "--out", first[1]]
    also = [word for weights_of_fold, out in more for word in ("--also", weights_of_fold, out)]
    crops = ["--crops", str(layout.crops)]
    return [["extract", "--extractor", "mae", *crops, *wanted, "--jobs", jobs, *weights, *also]]


def _train(layout: RunLayout, unit: Unit, jobs: str) -> list[Command]:
    data = [*_inputs(layout, unit.task, unit.part), "--annotations", layout.run.annotations]
    data += [*_fold(layout, unit), *_tests(layout, unit.task)]
    networks = layout.run.networks
    seeds = ["--seeds", str(layout.run.seeds)] if layout.run.seeds > 1 else []
    commands = []
    for name in layout.run.models.split() or [""]:  # `train` itself trains the further seeds
        out = layout.model(unit.task, unit.part, networks[name or next(iter(networks))])
        given = [*_each("--model", [name]), *seeds, *data, "--out", str(out)]
        commands.append(["train", *_task(unit), *given])
    return commands


def _ablate(layout: RunLayout, unit: Unit, jobs: str) -> list[Command]:
    seen = [str(layout.sound(name)) for name in layout.run.seen]
    features = _each("--features", [str(layout.features(unit.task, unit.part)), *seen])
    data = [*features, "--annotations", layout.run.annotations]
    out = ["--out", str(layout.visual_model(unit.task, unit.part))]
    model = _each("--model", layout.run.models.split()[:1])
    return [["train", *_task(unit), *model, *data, *_fold(layout, unit), *out]]


def _tables(layout: RunLayout, unit: Unit, jobs: str) -> list[Command]:
    key, run = unit.task, layout.run
    fold = "{fold}"
    named = {"mae": layout.features(key, fold)}
    named |= {name: layout.sound(name) for name in (*run.seen, *run.sounds(key))}
    features = _each("--features", [f"{name}={path}" for name, path in named.items()])
    plain = ["--plain", str(layout.plain_features)]
    frames = [*plain, "--frames", str(layout.encoder(key, fold) / VALIDATION_SCORES)]
    data = ["--annotations", run.annotations, "--splits", str(layout.splits(key))]
    trained = ["--trained", str(layout.model(key, fold)), "--out", str(layout.table(key, "").parent)]
    return [["ablate", *_task(unit), *features, *frames, *data, *trained]]


def _template(layout: RunLayout, unit: Unit, jobs: str) -> list[Command]:
    return [
        ["template", *_task(unit), "--crops", str(layout.crops), "--out", str(layout.template(unit.task))]
    ]


def _predict(layout: RunLayout, unit: Unit, jobs: str) -> list[Command]:
    key, commands = unit.task, []
    for fold in layout.members:
        data = [*_inputs(layout, key, fold), "--tracks", str(layout.template(key))]
        for folder in layout.run.networks.values():
            made = str(layout.model(key, fold, folder)), str(layout.member_scores(key, fold, folder))
            commands.append(["predict", "--checkpoint", made[0], *data, "--out", made[1]])
    return commands


def _select(layout: RunLayout, unit: Unit, jobs: str) -> list[Command]:
    key = unit.task
    folds = [
        f"{name}={layout.model(key, fold, folder) / VALIDATION_SCORES}"
        for name, folder in layout.run.networks.items()
        for fold in layout.folds
    ]
    name = {"select": "recipe"}.get(unit.stage, unit.stage)
    steps = {"ensemble": "ensemble", "smooth": "smooth,calibrate,threshold"}.get(unit.stage)
    only = ["--steps", steps] if steps else []
    truth = ["--truth", layout.run.annotations]
    out = ["--out", str(layout.recipe(key, name))]
    return [["select", *_task(unit), *_each("--scores", folds), *truth, *only, *out]]


def _apply(layout: RunLayout, unit: Unit, jobs: str) -> list[Command]:
    key = unit.task
    members = [
        f"{name}={layout.member_scores(key, fold, folder)}"
        for name, folder in layout.run.networks.items()
        for fold in layout.members
    ]
    recipe = ["--recipe", str(layout.recipe(key))]
    return [["apply", *recipe, *_each("--scores", members), "--out", str(layout.scores(key))]]


def _submit(layout: RunLayout, unit: Unit, jobs: str) -> list[Command]:
    key = unit.task
    official, rows = str(layout.prediction(key)), ["--template", str(layout.template(key))]
    folders = layout.run.networks.values()
    members = [p for fold in layout.members for f in folders for p in layout.member_files(key, fold, f)]
    scores = _each("--scores", list(map(str, members if key == MTL.key else [layout.scores(key)])))
    return [
        ["format", *_task(unit), *scores, *rows, "--out", official],
        ["pack", official, *_task(unit), *rows, "--out", str(layout.zip(key))],
    ]


def _report(layout: RunLayout, unit: Unit, jobs: str) -> list[Command]:
    truth = ["--annotations", layout.run.annotations] if layout.run.annotations else []
    plans = [_plan(layout, key) for key in layout.run.planned if layout.run.template(key)]
    out = ["--out", str(layout.report), "--text", str(layout.score_table)]
    return [*plans, ["report", "--run", str(layout.work), *truth, *out]]


def _plan(layout: RunLayout, key: str) -> Command:
    trained = ["--fold-scores", str(layout.checkpoints / key), "--truth", layout.run.annotations]
    rows = ["--template", str(layout.template(key))]
    return ["plan", "--task", key.upper(), *trained, *rows, "--out", str(layout.submission_plan(key))]


def _task(unit: Unit) -> list[str]:
    return ["--task", unit.task.upper()]


def _fold(layout: RunLayout, unit: Unit) -> list[str]:
    return ["--splits", str(layout.splits(unit.task)), "--fold", unit.part]


def _tests(layout: RunLayout, key: str) -> list[str]:
    return _each("--tracks", [layout.run.template(key)])


def _inputs(layout: RunLayout, key: str, fold: str) -> list[str]:
    sounds = [str(layout.sound(s)) for s in (*layout.run.seen, *layout.run.sounds(key))]
    return _each("--features", [str(layout.features(key, fold)), *sounds])


def _each(option: str, values: list[str]) -> list[str]:
    return [word for value in values if value for word in (option, value)]


def annotation_places(layout: RunLayout, key: str) -> list[Path]:
    """Where a task's annotations lie: a folder; of MTL its lists, or the folders of its tasks."""
    run = layout.run
    lists = multitask_lists(Path(run.annotations)) if run.annotations and key == MTL.key else {}
    if lists:
        return list(lists.values())
    return [place for part in any_task(key).parts if (place := annotation_folder(layout, part.key))]


def annotation_folder(layout: RunLayout, key: str) -> Path | None:
    """The folder of a task's annotations, whatever the edition calls it; None without annotations.

    Where it is not there yet it is given the newest edition's name.
    """
    if not layout.run.annotations:
        return None
    root, task = Path(layout.run.annotations), get_task(key.upper())
    names = list(dict.fromkeys(task.challenge_folder(edition) for edition in reversed(EDITIONS)))
    there = [root / name for name in names if (root / name).is_dir()]
    if there or not root.is_dir():
        return there[0] if there else root / names[0]
    return root


_MAKERS = {
    "corpus": _corpus,
    "crop": _crop,
    "sound": _sound,
    "pretrain": _pretrain,
    "plain": _plain,
    "split": _split,
    "finetune": _finetune,
    "features": _features,
    "train": _train,
    "ablate": _ablate,
    "tables": _tables,
    "template": _template,
    "predict": _predict,
    "ensemble": _select,
    "smooth": _select,
    "select": _select,
    "apply": _apply,
    "submit": _submit,
    "report": _report,
}
