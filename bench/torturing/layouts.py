"""More good files to damage: scores as other tools write them, checkpoints, other sound and pictures."""

from __future__ import annotations

import json
import pickle
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Reader = tuple[Path, Callable[[Path], Any]]
TRACKS = {"102": 30, "video2_left": 25}


def score_layouts(root: Path) -> dict[str, Reader]:
    """Scores in the layouts that `import-scores` knows."""
    from scipy.io import savemat

    from abaw_submit.scores.sniff.table import Options
    from abaw_submit.scores.sniff.understand import understand
    from abaw_submit.tasks import VA

    rng = np.random.default_rng(0)
    scores = {t: rng.uniform(-1, 1, (n, 2)).astype(np.float32) for t, n in TRACKS.items()}
    plain = {t: v.tolist() for t, v in scores.items()}
    rows = [f"{t},{k + 1},{a:.5f},{b:.5f}" for t, v in scores.items() for k, (a, b) in enumerate(v)]
    images = [f"{t}/{k + 1:05d}.jpg {a:.5f} {b:.5f}" for t, v in scores.items() for k, (a, b) in enumerate(v)]
    (root / "long.csv").write_text("\n".join(["video,frame,valence,arousal", *rows]) + "\n")
    (root / "images.txt").write_text("\n".join(images) + "\n")
    (root / "all.json").write_text(json.dumps(plain))
    lines = [json.dumps({"video": t, "frame": k, "valence": a, "arousal": b}) for t, v in plain.items()
             for k, (a, b) in enumerate(v)]  # fmt: skip
    (root / "lines.jsonl").write_text("\n".join(lines) + "\n")
    (root / "all.pkl").write_bytes(pickle.dumps(scores))
    np.savez(root / "all.npz", **scores)  # type: ignore[arg-type]
    savemat(root / "all.mat", {f"t{k}": v for k, v in enumerate(scores.values())}, do_compression=True)
    names = ("long.csv", "images.txt", "all.json", "lines.jsonl", "all.pkl", "all.npz", "all.mat")
    return {f"scores {name}": (root / name, lambda p: understand(p, VA, Options())) for name in names}


def checkpoints(root: Path) -> dict[str, Reader]:
    """A trained sequence model's config, weights and record."""
    import dataclasses

    from abaw_submit.models.checkpoint import WEIGHTS_NAME, write_config, write_weights
    from abaw_submit.models.encoder import new_encoder
    from abaw_submit.models.sequence.registry import build_model
    from abaw_submit.models.sequence.streams import Stream
    from abaw_submit.models.settings import SequenceSize, VitSize
    from abaw_submit.models.weights.encoders import load_encoder
    from abaw_submit.tasks import VA
    from abaw_submit.training.tmf import load_sequence

    size = SequenceSize(model="gru", model_dim=8, layers=1)
    model = build_model([Stream("x", 4, "picture")], VA, size)
    config = write_config(
        root,
        {
            "train": {"task": "VA", "fold": 0, "clip_rows": 16, "stride_rows": 8},
            "sequence": dataclasses.asdict(size),
            "features": {"extractors": ["x"], "dims": [4]},
        },
    )
    write_weights(root, model.state_dict())
    encoder = new_encoder(VitSize(img_size_px=16, patch_px=8, dim=16, depth=1, heads=2))
    (root / "encoder").mkdir()
    own = write_config(root / "encoder", {"encoder": encoder.config})
    write_weights(root / "encoder", encoder.backbone.state_dict())
    return {
        "encoder config": (own, lambda p: load_encoder(str(p.parent))),
        "checkpoint config": (config, lambda p: load_sequence(p.parent)),
        "checkpoint weights": (root / WEIGHTS_NAME, lambda p: load_sequence(p.parent)),
    }


def more_media(root: Path) -> dict[str, Reader]:
    """A wave file, an mp4, and a png under the name of a crop."""
    import av
    import cv2

    from abaw_submit.audio.sound import read_sound
    from abaw_submit.corpus.crops import load_crop
    from abaw_submit.faces.decode import VideoReader

    rng = np.random.default_rng(0)
    with wave.open(str(root / "s.wav"), "wb") as sound:
        sound.setnchannels(1), sound.setsampwidth(2), sound.setframerate(16000)
        sound.writeframes(rng.integers(-999, 999, 8000, np.int16).tobytes())
    with av.open(str(root / "v.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(12):
            picture = rng.integers(0, 255, (48, 64, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode(None))
    cv2.imwrite(str(root / "p.png"), rng.integers(0, 255, (48, 48, 3), np.uint8))

    def decode(path: Path) -> int:
        with VideoReader(path) as reader:
            return sum(1 for _ in reader)

    return {
        "sound wav": (root / "s.wav", lambda p: sum(len(b.samples) for b in read_sound(p))),
        "video mp4": (root / "v.mp4", decode),
        "picture png": (root / "p.png", lambda p: load_crop(p, 32)),
    }
