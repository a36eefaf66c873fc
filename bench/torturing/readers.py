"""Every reader of the package with a good file to damage: name -> (file, function of its path)."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from torturing.layouts import checkpoints, more_media, score_layouts

Reader = tuple[Path, Callable[[Path], Any]]
TRACKS = {"102": 30, "video2_left": 25}


def text_files(root: Path) -> dict[str, Reader]:
    """Official texts and the package's own."""
    from abaw_submit.config import read_toml
    from abaw_submit.corpus.annotations import read_annotation
    from abaw_submit.corpus.ledger import Ledger, read_ledger, write_ledger
    from abaw_submit.corpus.mtl import read_mtl
    from abaw_submit.corpus.templates import read_template, write_template
    from abaw_submit.corpus.testlists import read_track_list
    from abaw_submit.faces.overrides import read_overrides
    from abaw_submit.postprocess.recipe import identity_recipe
    from abaw_submit.postprocess.recipe_json import read_recipe, write_recipe
    from abaw_submit.store import Stage, read_record
    from abaw_submit.tasks import TASKS, VA
    from abaw_submit.training.folds import Fold, Splits, read_splits, write_splits
    from abaw_submit.workflow.settings import load_run

    found: dict[str, Reader] = {}
    values = {"VA": "0.5,-0.25", "EXPR": "3", "AU": "0,1,0,1,0,0,1,0,0,1,0,1"}
    for task in TASKS.values():
        path = root / f"{task.name}.txt"
        path.write_text("\n".join([task.header(), *[values[task.name]] * 30]) + "\n")
        found[f"annotation {task.name}"] = (path, lambda p, t=task: read_annotation(p, t, "train"))
    write_template(root / "template.txt", TRACKS, VA)
    found["template"] = (root / "template.txt", read_template)
    (root / "list.txt").write_text("\n".join(TRACKS) + "\n")
    found["track list"] = (root / "list.txt", read_track_list)
    row = "0.1,0.2,3," + ",".join("01" * 6)
    lines = [f"102/{k:05d}.jpg,{row}" for k in range(1, 30)]
    (root / "mtl.txt").write_text("image,valence,arousal,expression,aus\n" + "\n".join(lines) + "\n")
    found["multi-task list"] = (root / "mtl.txt", read_mtl)
    zeros, ones = np.zeros(30), np.ones(30, bool)
    ledger = Ledger(
        np.arange(1, 31), zeros, ones, zeros, zeros, zeros, zeros, zeros, np.array(["detected"] * 30)
    )
    write_ledger(root / "ledger.csv", ledger)
    found["ledger"] = (root / "ledger.csv", read_ledger)
    (root / "overrides.txt").write_text("102 1-5 none\nvideo2_left 3 at 10 20\n")
    found["overrides"] = (root / "overrides.txt", read_overrides)
    write_splits(root / "splits.json", Splits("VA", 0, [Fold("0", ["102"], ["video2_left"])], "x"))
    found["splits"] = (root / "splits.json", read_splits)
    write_recipe(root / "recipe.json", identity_recipe("VA", ["a", "b"]))
    found["recipe"] = (root / "recipe.json", read_recipe)
    config = Path(__file__).parents[2] / "configs" / "demo.toml"
    (root / "config.toml").write_bytes(config.read_bytes())
    found["config"] = (root / "config.toml", lambda p: (read_toml(p), load_run(p)))
    with Stage("copy", root / "stage", settings={"a": 1}, inputs=[]) as stage:
        (root / "stage").mkdir()
        (root / "stage" / "a.txt").write_text("a")
        stage.output(root / "stage" / "a.txt")
    found["record"] = (root / "stage" / "record.json", lambda p: read_record(p.parent))
    return found


def array_files(root: Path) -> dict[str, Reader]:
    """Features, scores, weights and states."""
    import torch
    from safetensors.torch import save_file

    from abaw_submit.features.cache import read_features, write_features
    from abaw_submit.features.importers import import_folder
    from abaw_submit.models.checkpoint import LAST_NAME, read_last, write_last
    from abaw_submit.models.weights.read import read_weights
    from abaw_submit.scores.files import Scores, read_scores, write_scores
    from abaw_submit.tasks import VA

    rng = np.random.default_rng(0)
    values = rng.random((30, 8)).astype(np.float32)
    found: dict[str, Reader] = {}
    write_features(root / "f.h5", values, np.ones(30, bool), np.arange(30.0), extractor="x", fingerprint="f")
    found["features"] = (root / "f.h5", read_features)
    scores = Scores(VA, {t: rng.random((n, 2)).astype(np.float32) for t, n in TRACKS.items()})
    write_scores(root / "s.h5", scores)
    found["scores h5"] = (root / "s.h5", lambda p: read_scores(p, "VA"))
    write_scores(root / "scores", scores)
    found["scores text"] = (root / "scores" / "102.txt", lambda p: read_scores(p.parent, "VA"))
    names = ",".join(["frame", "success", *[f"f{k}" for k in range(8)]])
    rows = [",".join([str(k + 1), "1", *[f"{v:.4f}" for v in values[k]]]) for k in range(30)]
    official = root / "annotations" / "VA_Estimation_Challenge" / "Train_Set"
    official.mkdir(parents=True)
    (official / "102.txt").write_text("valence,arousal\n" + "0.5,0.5\n" * 30)

    def bring_in(path: Path) -> None:
        shutil.rmtree(root / "brought", ignore_errors=True)
        import_folder(path.parent, root / "brought", name="x", annotations=root / "annotations")

    for suffix in ("npy", "npz", "csv"):
        path = root / suffix / f"102.{suffix}"
        path.parent.mkdir()
        if suffix == "npy":
            np.save(path, values)
        elif suffix == "npz":
            np.savez(path, values=values, valid=np.ones(30, bool))
        else:
            path.write_text("\n".join([names, *rows]) + "\n")
        found[f"table {suffix}"] = (path, bring_in)
    state = {"a.weight": torch.ones(4, 4), "b": torch.zeros(3)}
    save_file(state, root / "w.safetensors")
    torch.save({"model": state}, root / "w.pth")
    for suffix in ("safetensors", "pth"):
        found[f"weights {suffix}"] = (root / f"w.{suffix}", read_weights)
    write_last(root, {"fingerprint": "f", "model": state})
    found["training state"] = (root / LAST_NAME, lambda p: read_last(p.parent, "f"))
    return found


def submission_files(root: Path) -> dict[str, Reader]:
    """What `check` reads."""
    from abaw_submit.submission.check import check
    from abaw_submit.submission.expected import expected_rows

    rows = [f"{t}/{k:05d}.jpg,0.5,-0.25" for t, n in TRACKS.items() for k in range(1, n + 1)]
    (root / "va.txt").write_text("image_location,valence,arousal\n" + "\n".join(rows) + "\n")
    whole = root / "whole.txt"
    whole.write_text(
        "image_location,valence,arousal\n" + "\n".join(r[: r.index(",") + 1] for r in rows) + "\n"
    )
    with zipfile.ZipFile(root / "va.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(root / "va.txt", "va.txt")
    asked = expected_rows("VA", whole)
    return {
        "submission text": (root / "va.txt", lambda p: check(p, "VA", asked)),
        "submission zip": (root / "va.zip", lambda p: check(p, "VA", asked)),
    }


def media_files(root: Path) -> dict[str, Reader]:
    """Videos, sound and pictures."""
    import av
    import cv2

    from abaw_submit.audio.sound import read_sound
    from abaw_submit.corpus.crops import load_crop
    from abaw_submit.faces.openface import read_openface

    rng = np.random.default_rng(0)
    cv2.imwrite(str(root / "p.jpg"), rng.integers(0, 255, (48, 48, 3), np.uint8))
    found: dict[str, Reader] = {"picture": (root / "p.jpg", lambda p: load_crop(p, 32))}
    for suffix, codec in (("avi", "mjpeg"), ("mkv", "mpeg4")):
        path = root / f"v.{suffix}"
        with av.open(str(path), "w") as container:
            video = container.add_stream(codec, rate=25)
            video.width, video.height = 64, 48
            video.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            sound = container.add_stream("pcm_s16le", rate=16000, layout="mono")
            for _ in range(12):
                picture = rng.integers(0, 255, (48, 64, 3), np.uint8)
                container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
            container.mux(video.encode(None))
            samples = rng.integers(-9, 9, (1, 7680), np.int16)
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.sample_rate = 16000
            container.mux(sound.encode(frame))
            container.mux(sound.encode(None))
        found[f"video {suffix}"] = (path, _decode)
        found[f"sound {suffix}"] = (path, lambda p: sum(len(b.samples) for b in read_sound(p)))
    points = [f"{a}_{k}" for a in "xy" for k in range(68)]
    header = ", ".join(["frame", "face_id", "timestamp", "confidence", "success", *points])
    numbers = ", ".join(f"{v:.1f}" for v in rng.random(136) * 50)
    lines = [f"{k}, 0, {k / 25:.3f}, 0.98, 1, {numbers}" for k in range(1, 13)]
    (root / "openface.csv").write_text("\n".join([header, *lines]) + "\n")
    found["OpenFace table"] = (root / "openface.csv", read_openface)

    return found


def _decode(path: Path) -> int:
    from abaw_submit.faces.decode import VideoReader

    with VideoReader(path) as reader:
        return sum(1 for _ in reader)


def all_readers(root: Path) -> dict[str, Reader]:
    """All of them, their files below `root`."""
    found: dict[str, Reader] = {}
    parts = (text_files, array_files, submission_files, media_files, score_layouts, checkpoints, more_media)
    for part in parts:
        folder = root / part.__name__
        folder.mkdir(parents=True)
        found.update(part(folder))
    return found
