"""The run in words, for a paper, and everything needed to make it again."""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from abaw_submit import __version__
from abaw_submit.report.blocks import Block, Code, Section, Table, Text
from abaw_submit.report.find import Run, TaskRun, selection
from abaw_submit.report.scoreboard import Board
from abaw_submit.store import machine, read_record

PACKAGES = ("torch", "torchvision", "torchaudio", "timm", "transformers", "numpy", "scipy", "scikit-learn")
SETTINGS_OF = ("crop", "pretrain", "finetune", "extract", "split", "train", "select")


def methods_section(run: Run, boards: dict[str, Board]) -> Section:
    """A paragraph per part, with the run's own numbers, to start a paper's method section from."""
    shared = [_crops(run), _pretraining(run)]
    blocks: list[Block] = [Text(" ".join(s for s in shared if s))] if any(shared) else []
    blocks += [Text(_task(run, task, boards.get(task.task.name))) for task in run.tasks]
    blocks.append(
        Text(
            "The method follows Zhang et al., Multi-modal Facial Affective Analysis based on Masked"
            " Autoencoder (arXiv 2303.10849)."
        )
    )
    return Section("Methods paragraph", blocks)


def _crops(run: Run) -> str:
    record = run.crops
    if record is None:
        return ""
    settings, counts = record["settings"], record["counts"]
    detector = settings.get("detector", "")
    size, rows, found = settings.get("size_px"), counts.get("rows", 0), counts.get("found", 0)
    text = f"Faces were cropped to {size} x {size} px" if size else "Faces were cropped"
    text += f" with the detector {detector}" if detector else ""
    if rows:
        text += (
            f"; of {rows:,.0f} rows, {found / rows:.1%} showed the person, the others take the nearest one"
        )
    return text + "."


def _pretraining(run: Run) -> str:
    record = read_record(run.layout.mae)
    if record is None:
        return ""
    s, pictures = record["settings"], record["counts"].get("pictures", 0)
    return (
        f"A masked autoencoder ({s['depth']} blocks, width {s['dim']}, {s['img_size_px']} px pictures in"
        f" patches of {s['patch_px']} px) was pre-trained for {s['epochs']} epochs on {pictures:,.0f} faces"
        f" that are not from Aff-Wild2, with {s['mask_ratio']:.0%} of the patches hidden."
    )


def _task(run: Run, task: TaskRun, board: Board | None) -> str:
    name, text = task.task.name, [f"{task.task.name}."]
    frame = read_record(task.frame[0].parent) if task.frame else None
    if frame:
        s = frame["settings"]
        text.append(
            f"The encoder was fine-tuned on single frames of each fold ({s['epochs']} epochs, batch"
            f" {s['batch']}, learning rate {s['lr']:g}, {frame['counts'].get('training frames', 0):,.0f}"
            " frames in the first fold)."
        )
    record = read_record(task.folds[0]) if task.folds else None
    if record:
        s = record["settings"]
        size = s.get("size", {})
        names = [Path(i["path"]).name for i in record["inputs"] if "features" in i["path"]]
        sources = " and ".join(re.sub(r"_\d+$", "", name) for name in names)  # mae_va_0 is the first fold's
        text.append(
            f"A temporal fusion transformer ({_many(size.get('layers'), 'layer')},"
            f" {_many(size.get('heads'), 'head')}, width {size.get('model_dim')}) was"
            f" trained on clips of {s.get('clip_rows')} rows of the features"
            f" {sources} ({s['epochs']} epochs, batch {s['batch']}, learning rate {s['lr']:g}), once for"
            f" each of {len(task.tmf)} folds that keep recordings whole."
        )
    choice = selection(task)
    if choice:
        kept = ", ".join(choice["steps_kept"]) or "none"
        text.append(
            f"Post-processing was chosen by nested cross-fitting over {choice['groups']} recordings; steps"
            f" kept: {kept}."
        )
    if board:
        last = board.lines[-1]
        low, high = last.score.intervals["total"]
        text.append(
            f"Out of fold, the {task.task.metric} of {name} is {last.score.total:.3f} (95 % interval"
            f" {low:.3f} to {high:.3f}, {board.tracks} tracks, {board.rows:,} rows)."
        )
    return " ".join(text)


def _many(number: Any, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def reproduce_section(run: Run, config: Path | None) -> Section:
    """Commit, versions, machine, seeds, settings, and the commands."""
    host = machine()
    commit = _commit()
    rows = [["abaw_submit", __version__], ["commit", commit or "unknown: not run from a git checkout"]]
    rows += [[name, version] for name in PACKAGES if (version := _version(name))]
    rows += [["Python", str(host["python"])], ["system", f"{host['system']}, {host['cpus']} processors"]]
    settings, seeds = _settings(run)
    rows.append(["seeds", ", ".join(seeds) or "none recorded"])
    plain = commit.split()[0] if commit else "COMMIT"
    name = config.name if config else f"{run.name}.toml"
    blocks: list[Block] = [
        Text(
            "The same commit, configuration and data give the same files, byte for byte, on the same kind"
            " of processor. Every stage's fingerprint is in the table of stages."
        ),
        Table(["", ""], rows, "What the page was made with."),
        Code(f"git checkout {plain}\nmake setup\nmake submission report CONFIG=configs/{name}"),
    ]
    if config is not None:
        blocks.append(Code(config.read_text(encoding="utf-8"), f"The configuration {config.name}"))
    blocks += [Code(json.dumps(value, indent=2), f"Settings of {title}") for title, value in settings]
    return Section("How to make it again", blocks)


def _settings(run: Run) -> tuple[list[tuple[str, dict[str, Any]]], list[str]]:
    """The first record of each kind of stage and task, and all seeds."""
    found: dict[str, dict[str, Any]] = {}
    seeds: set[str] = set()
    for path in run.layout.recorded():
        record = read_record(path)
        if record is not None and record["stage"] in SETTINGS_OF:
            stage, settings = record["stage"], record["settings"]
            title = " ".join(str(v) for v in (stage, settings.get("task"), settings.get("extractor")) if v)
            short = {k: v for k, v in settings.items() if len(json.dumps(v)) < 2000}
            found.setdefault(title, short)
            if "seed" in settings:
                seeds.add(f"{stage} {settings['seed']}")
    order = {stage: k for k, stage in enumerate(SETTINGS_OF)}
    return sorted(found.items(), key=lambda item: order[item[0].split()[0]]), sorted(seeds)


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _commit() -> str:
    """The commit of the checkout the package lies in, "" if it does not lie in one."""
    here = Path(__file__).parents[2]
    if not (here / ".git").exists():
        return ""
    done = _git(here, ["rev-parse", "--short=12", "HEAD"])
    changed = _git(here, ["status", "--porcelain", "--untracked-files=no"])
    return f"{done} with changes" if done and changed else done


def _git(folder: Path, words: Sequence[str]) -> str:
    try:
        done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()
