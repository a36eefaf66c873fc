"""Speed of cropping against the bare parts and against the loop people write, and what skipping costs.

    python bench/faces.py [FOLDER ...]

Without folders: the clips of $ABAW_SHARED/videos, if set, and the synthetic corpus (tiny). YuNet is used
where its model is found, else Haar. Times are the best of `REPEATS`. Wall time on all cores only means
something on an idle machine; processor time (of one process, divided by the cores) is hardly disturbed.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import av
import cv2
import joblib
import numpy as np

from abaw_submit.corpus.ledger import read_ledger
from abaw_submit.corpus.tracks import list_videos
from abaw_submit.faces.choice import find_detector
from abaw_submit.faces.crop import CropTask, crop_video
from abaw_submit.faces.decode import VideoReader, packet_times
from abaw_submit.faces.detect import BOX, DetectorSpec, iou, make_detector
from abaw_submit.faces.jobs import VideoJob
from abaw_submit.faces.settings import CropSettings
from abaw_submit.faces.stage import Workers, crop_corpus

REPEATS = 2
MIN_FRAMES = 1500  # small corpora are copied until the start of a run no longer counts
SETTINGS = CropSettings()


def best(function: Callable[[], object], repeats: int = REPEATS) -> tuple[float, float]:
    """Smallest wall and processor seconds of a few runs, each smallest on its own."""
    walls, processors = [], []
    for _ in range(repeats):
        wall, processor = time.perf_counter(), time.process_time()
        function()
        walls.append(time.perf_counter() - wall)
        processors.append(time.process_time() - processor)
    return min(walls), min(processors)


def decode_alone(video: Path) -> None:
    """The decoder on one thread and nothing else."""
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        for _ in container.decode(stream):
            pass


def naive_loop(video: Path, spec: DetectorSpec, out: Path) -> int:
    """What is usually written: read, detect at full size, cut, resize, write."""
    detector = make_detector(spec, SETTINGS)
    capture, row = cv2.VideoCapture(str(video)), 0
    while True:
        ok, image = capture.read()
        if not ok:
            return row
        row += 1
        faces = detector.detect(image)
        if len(faces):
            x, y, w, h = (int(v) for v in faces[0][BOX])
            face = image[max(0, y) : y + h, max(0, x) : x + w]
            if face.size:
                cv2.imwrite(str(out / f"{row:05d}.jpg"), cv2.resize(face, (224, 224)))


def compare(name: str, videos: list[Path], spec: DetectorSpec) -> None:
    """Print one corpus's block."""
    cores = joblib.cpu_count()
    frames, reduced = 0, []
    for video in videos:
        with VideoReader(video) as reader:
            reduced.append([frame.reduced(SETTINGS.long_side_px)[0] for frame in reader])
            frames += reader.frames
    detector = make_detector(spec, SETTINGS)
    decode = best(lambda: [decode_alone(v) for v in videos])
    detect = best(lambda: [detector.detect(image) for images in reduced for image in images])
    with tempfile.TemporaryDirectory() as folder:
        tasks = [CropTask(VideoJob(v, {v.stem: None}), Path(folder) / "one", spec, SETTINGS) for v in videos]
        one = best(lambda: [_fresh(task, Path(folder)) for task in tasks])
        numbers = iter(range(100))
        crop_corpus(videos[:cores], Path(folder) / "warm", spec, SETTINGS)  # starts the worker processes
        whole = best(lambda: crop_corpus(videos, Path(folder) / f"all{next(numbers)}", spec, SETTINGS))
        naive = best(lambda: [naive_loop(v, spec, Path(folder)) for v in videos], 1)
        every = Path(folder) / "every"
        crop_corpus(videos, every, spec, replace(SETTINGS, every=1), workers=Workers())
        stays = boxes_stay(Path(folder) / "all0", every)
    bound = (decode[0] + detect[0]) / cores
    load = os.getloadavg()[0]
    print(f"\n{name}: {len(videos)} videos, {frames} frames, {spec.name}, {cores} cores, load {load:.1f}")
    print(f"  {'':34s}{'wall s':>8s}{'cpu s':>8s}{'frames/s':>10s}")
    for label, (wall, processor) in (
        ("decode alone, 1 thread", decode),
        ("detector alone, 1 thread", detect),
        ("crop, 1 process", one),
        (f"crop, {cores} processes", (whole[0], float("nan"))),
        ("usual loop, 1 process", naive),
    ):
        print(f"  {label:34s}{wall:8.2f}{processor:8.2f}{frames / wall:10.0f}")
    part = (decode[1] + detect[1]) / one[1]
    print(f"  of the bound (decode + detector) / cores: {bound / whole[0]:.2f} in wall time,", end=" ")
    print(f"{part:.2f} in processor time (wanted: 0.85)")
    print(f"  times the usual loop: {naive[0] / whole[0]:.1f} in wall time,", end=" ")
    print(f"{naive[1] / one[1] * cores:.1f} in processor time (wanted: 3)")
    print(f"  rows with IoU of at least 0.9 to detecting every frame: {stays:.1%} (wanted: 95 %)", flush=True)


def _fresh(task: CropTask, folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as out:
        result = crop_video(replace(task, out=Path(out)))
        if result.problem:
            sys.exit(result.problem)


def boxes_stay(crops: Path, reference: Path) -> float:
    """Part of the rows found in both whose boxes overlap by at least 0.9."""
    overlaps = []
    for path in sorted(reference.glob("*/ledger.csv")):
        a, b = read_ledger(path), read_ledger(crops / path.parent.name)
        rows = np.flatnonzero(a.found & b.found)
        boxes = [np.stack([t.x, t.y, t.w, t.h], 1)[rows] for t in (a, b)]
        overlaps += [iou(p[None], q[None])[0, 0] for p, q in zip(*boxes, strict=True)]
        overlaps += [0.0] * int((a.found ^ b.found).sum())
    return float(np.mean(np.array(overlaps) >= 0.9))


def corpora(folders: list[str], temporary: Path) -> dict[str, list[Path]]:
    """The videos to measure on, by a name for each corpus."""
    if folders:
        return {folder: list_videos([folder]) for folder in folders}
    found: dict[str, list[Path]] = {}
    shared = os.environ.get("ABAW_SHARED")
    if shared:
        found["real clips"] = list_videos([Path(shared) / "videos"])
    from abaw_submit.demo.corpus import write_corpus

    write_corpus(temporary, size="tiny")
    found["synthetic corpus"] = copies(list_videos([temporary / "videos"]), temporary / "copies")
    return found


def copies(videos: list[Path], folder: Path) -> list[Path]:
    """Copies of the videos under other names, until there are enough frames."""
    folder.mkdir()
    frames, copied, number = sum(len(packet_times(v)) for v in videos), list(videos), 0
    while frames * (number + 1) < MIN_FRAMES:
        number += 1
        copied += [Path(shutil.copy(v, folder / f"{number}-{v.name}")) for v in videos]
    return copied


def main() -> None:
    """Measure every corpus with the best detector that works here, and with Haar."""
    cv2.setNumThreads(1)
    shared = os.environ.get("ABAW_SHARED")
    if shared and "ABAW_YUNET" not in os.environ and (Path(shared) / "models").is_dir():
        os.environ["ABAW_YUNET"] = str(Path(shared) / "models")
    spec, remark = find_detector("auto")
    print(remark or "YuNet", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        for name, videos in corpora(sys.argv[1:], Path(temporary)).items():
            compare(name, videos, spec)


if __name__ == "__main__":
    main()
