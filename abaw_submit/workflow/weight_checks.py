"""The weights that a run needs before it starts: encoder, trained folds, audio extractors."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from abaw_submit.errors import UserError
from abaw_submit.extras import missing
from abaw_submit.layout import Layout
from abaw_submit.tasks import Task
from abaw_submit.workflow.doctor import Finding, no_folder
from abaw_submit.workflow.settings import RunSettings

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png")


def encoder_there(run: RunSettings) -> Finding:
    """Weights to start from, or pictures to pre-train on."""
    if run.encoder:
        fix = "Correct [run] encoder, or leave it empty and set [run] faces to pre-train."
        return weights_there("encoder", run.encoder, fix)
    if not run.faces:
        fix = "Set encoder to published weights, or faces to a folder of face pictures."
        return Finding("encoder", "missing", "[run] encoder and faces are both empty", fix)
    folder = Path(run.faces)
    if not folder.is_dir():
        return no_folder("faces", folder)
    if not any(path.suffix.lower() in PICTURE_SUFFIXES for path in folder.rglob("*")):
        return Finding("faces", "missing", f"no jpg or png under {folder}", "Give a folder of face pictures.")
    return Finding("faces", "ok", f"pictures in {folder} for pre-training")


def weights_there(what: str, source: str, fix: str) -> Finding:
    """Picture weights: a file or folder, also behind `timm:NAME@`, or a name whose weights are fetched."""
    named = source.startswith(("timm:", "hf-hub:"))
    file = source.partition("@")[2] if named and "@" in source else source
    if Path(file).exists():
        return Finding(what, "ok", source)
    suffixes = (".pth", ".pt", ".safetensors", ".bin")
    if file == source and (named or not (file.endswith(suffixes) or "/" in file)):
        return Finding(what, "ok", f"{source}, fetched when it is first used")
    return Finding(what, "missing", f"no file or folder {file}", fix)


def trained_there(run: RunSettings, task: Task) -> Finding:
    """The trained run that this one takes its folds from."""
    what = f"{task.name} models of run {run.trained}"
    layout = Layout(run.trained)
    folds, folder = layout.trained_folds(task.key), layout.checkpoints / task.key
    if folds:
        return Finding(what, "ok", f"{len(folds)} folds in {folder}")
    return Finding(what, "missing", f"no trained fold in {folder}", f"Train the run {run.trained} first.")


def audio_there(run: RunSettings, tasks: Sequence[Task], config: dict[str, Any]) -> list[Finding]:
    """The weights of every audio extractor that the run's tasks use."""
    from abaw_submit.features.registry import get_extractor

    names = sorted({name for t in tasks for name in getattr(run, f"audio_{t.key}").split()})
    findings = []
    for name in names:
        what = f"extractor {name}"
        try:
            entry = get_extractor(name)
        except UserError as error:
            findings.append(Finding(what, "missing", str(error).splitlines()[0], "Correct [run] audio_…"))
            continue
        section = config.get("extract", {}).get(name, {})
        given = section.get("checkpoint") if isinstance(section, dict) else None
        given = os.path.expandvars(given) if given else None
        if not entry.needs_weights:
            findings.append(Finding(what, "ok", "needs no weights"))
        elif given and not Path(given).exists() and (Path(given).suffix or given.startswith((".", "/"))):
            findings.append(
                Finding(what, "missing", f"no {given}", f"Correct checkpoint in [extract.{name}].")
            )
        elif given:
            findings.append(Finding(what, "ok", given))
        elif entry.default_source:
            fix = f'Without network access, set [extract.{name}] checkpoint = "FOLDER".'
            findings.append(
                Finding(what, "note", f"{entry.default_source} will be downloaded on first use", fix)
            )
        else:
            fix = f"Set [extract.{name}] checkpoint: {entry.weights}."
            findings.append(Finding(what, "missing", "no weights given", fix))
    return findings


def look_into_weights(findings: Sequence[Finding]) -> list[Finding]:
    """The same findings, with the weights files among them recognised and loaded, as `weights` does.

    Takes seconds a file. Weights that need to be told something (`--heads`) are only noted: the config may
    say it to the stage that loads them.
    """
    if missing("train"):
        return list(findings)
    from abaw_submit.models.weights.inspect import describe
    from abaw_submit.models.weights.options import WeightOptions

    out = []
    for finding in findings:
        weights = finding.what in ("encoder", "embedding") or finding.what.startswith("extractor ")
        if weights and finding.state == "ok" and Path(finding.detail).exists():
            about = describe(finding.detail, WeightOptions())
            if about.problem is None:
                finding = Finding(finding.what, "ok", f"{finding.detail}: {about.family}; loads exactly")
            else:
                state = "note" if "--" in about.problem else "missing"
                first = about.problem.splitlines()[0]
                fix = f"Ask: abaw-submit weights {finding.detail}"
                finding = Finding(finding.what, state, f"{finding.detail} does not load: {first}", fix)
        out.append(finding)
    return out
