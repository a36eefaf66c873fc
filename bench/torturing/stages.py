"""A corpus of six tracks that every stage can work on in seconds, and the stages as command lines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

TRACKS = {"102": 30, "video2_left": 26, "video45_1": 22, "24-30-64x48-1": 28, "108": 24, "87": 20}
VIT = ("--img-size-px", "16", "--patch-px", "8", "--dim", "32", "--depth", "1", "--heads", "2")
TMF = (
    *("--conv-dim", "16", "--model-dim", "16", "--feedforward-dim", "16", "--layers", "1"),
    *("--heads", "2", "--head-dim", "8", "--clip-rows", "16"),
)


@dataclass(frozen=True)
class Job:
    """A stage: its name, the words of its command without `--out`, and the name of its output."""

    name: str
    words: tuple[str, ...]
    out: str

    def command(self, folder: Path) -> list[str]:
        """The words of the command that makes it in a folder."""
        return [*self.words, "--out", str(folder / self.out)]

    @property
    def workers(self) -> bool:
        """Whether it starts worker processes."""
        return "--jobs" in self.words

    def alone(self) -> Job:
        """The same without worker processes."""
        if not self.workers:
            return self
        words = list(self.words)
        words[words.index("--jobs") + 1] = "1"
        return Job(self.name, tuple(words), self.out)


def make_corpus(root: Path) -> None:
    """Videos with sound, crops as the organisers give them, annotations, scores and features."""
    import av
    import cv2

    from abaw_submit.corpus.templates import write_template
    from abaw_submit.tasks import VA

    rng = np.random.default_rng(0)
    for folder in ("videos", "official", "tables", "texts"):
        (root / folder).mkdir(parents=True)
    for number, (track, rows) in enumerate(TRACKS.items()):
        video = track.removesuffix("_left")
        with av.open(str(root / "videos" / f"{video}.avi"), "w") as container:
            stream = container.add_stream("mjpeg", rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
            sound = container.add_stream("pcm_s16le", rate=16000, layout="mono")
            for _ in range(rows):
                picture = rng.integers(0, 255, (48, 64, 3), np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
            container.mux(stream.encode(None))
            samples = rng.integers(-999, 999, (1, 640 * rows), np.int16)
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.sample_rate = 16000
            container.mux(sound.encode(frame))
            container.mux(sound.encode(None))
        (root / "official" / track).mkdir()
        for row in range(1, rows + 1):
            picture = rng.integers(0, 255, (32, 32, 3), np.uint8)
            cv2.imwrite(str(root / "official" / track / f"{row:05d}.jpg"), picture)
        va = np.stack([np.sin(np.arange(rows) / 4), np.cos(np.arange(rows) / 5)], 1) * 0.8
        subset = "Validation_Set" if number % 3 == 2 else "Train_Set"
        place = root / "annotations" / "VA_Estimation_Challenge" / subset
        place.mkdir(parents=True, exist_ok=True)
        text = "valence,arousal\n" + "".join(f"{v:.3f},{a:.3f}\n" for v, a in va)
        (place / f"{track}.txt").write_text(text)
        noisy = np.clip(va + rng.normal(size=va.shape) * 0.2, -1, 1)
        (root / "texts" / f"{track}.txt").write_text(
            "valence,arousal\n" + "".join(f"{v:.6f},{a:.6f}\n" for v, a in noisy)
        )
        np.save(root / "tables" / f"{track}.npy", np.concatenate([noisy, rng.random((rows, 4))], 1))
    write_template(root / "template.txt", TRACKS, VA)


def jobs(root: Path) -> list[Job]:
    """All stages, each after those it reads; what they read lies in `root/made`."""
    made = root / "made"

    def job(name: str, out: str, *words: object) -> Job:
        return Job(name, tuple(map(str, words)), out)

    va = ("--task", "VA")
    annotations, template = root / "annotations", root / "template.txt"
    learn = ("--annotations", annotations, "--splits", made / "va.json", "--fold", "0")
    crops = made / "crops"
    adopt = ("--detector", "official", "--rows-from", annotations, "--jobs", "2")
    return [
        job("crop", "crops", "crop", root / "videos", root / "official", *adopt),
        job("crop haar", "haar", "crop", root / "videos", "--detector", "haar", "--jobs", "2"),
        job("template", "template.txt", "template", *va, "--crops", crops),
        job("extract", "logmel", "extract", "--extractor", "logmel", "--videos", root / "videos",
            "--crops", crops, "--jobs", "2"),
        job("import-features", "mine", "import-features", root / "tables", "--crops", crops,
            "--name", "mine"),
        job("import-scores", "mine.h5", "import-scores", root / "texts", *va, "--rows-from", annotations),
        job("split", "va.json", "split", *va, "--annotations", annotations, "--folds", "3"),
        job("pretrain", "mae", "pretrain", root / "official", "--not-aff-wild2", *VIT,
            "--epochs", "1", "--batch", "32",
            "--decoder-dim", "16", "--decoder-depth", "1", "--decoder-heads", "2"),
        job("finetune", "encoder", "finetune", *va, "--crops", crops, *learn, *VIT, "--epochs", "1",
            "--tracks", template),
        job("train", "fold_0", "train", *va, "--features", made / "mine", *learn, *TMF, "--epochs", "2",
            "--tracks", template),
        job("predict", "predicted.h5", "predict", "--checkpoint", made / "fold_0", "--features",
            made / "mine", "--tracks", template),
        job("predict text", "predicted", "predict", "--checkpoint", made / "fold_0", "--features",
            made / "mine", "--tracks", template),
        job("select", "recipe", "select", *va, "--scores", f"m={made / 'mine.h5'}", "--truth", annotations,
            "--folds", "3", "--filters", "6"),
        job("apply", "applied.h5", "apply", "--recipe", made / "recipe", "--scores",
            f"m={made / 'mine.h5'}"),
        job("format", "VA.txt", "format", *va, "--scores", made / "applied.h5", "--template", template),
        job("pack", "VA.zip", "pack", made / "VA.txt", *va, "--template", template),
    ]  # fmt: skip


def tree(folder: Path) -> dict[str, bytes]:
    """The bytes of all files but records (they hold times) and the state of a training, by name."""
    skip = ("record.json", "last.pt", "summary.csv")
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and not p.name.endswith(skip)
    }


def rows_in(made: Path, say: Callable[[str], None]) -> tuple[int, int]:
    """Rows counted over all outputs, and rows lost: what every stage holds against the official rows."""
    import h5py

    from abaw_submit.corpus.ledger import read_ledger

    counted = lost = 0

    def compare(what: str, found: dict[str, int]) -> None:
        nonlocal counted, lost
        counted += sum(found.values())
        for track, rows in TRACKS.items():
            if found.get(track) != rows:
                lost += abs(rows - found.get(track, 0))
                say(f"{what}, {track}: {found.get(track, 0)} rows; {rows} are official")

    if (made / "crops").is_dir():
        compare("crops", {t: len(read_ledger(made / "crops" / t)) for t in TRACKS})
    for name in (n for n in ("logmel", "mine") if (made / n).is_dir()):
        files = {p.stem: p for p in (made / name).glob("*.h5")}
        compare(name, {t: _length(p, "values") for t, p in files.items()})
    scores = ("mine.h5", "predicted.h5", "applied.h5", "fold_0/scores_test.h5", "encoder/scores_test.h5")
    for name in (n for n in scores if (made / n).is_file()):
        with h5py.File(made / name, "r") as file:
            compare(name, {t: len(file[t]) for t in file})
    if (made / "predicted").is_dir():
        text = (made / "predicted").glob("*.txt")
        compare("predicted", {p.stem: len(p.read_text().splitlines()) - 1 for p in text})
    lines = (made / "VA.txt").read_text().splitlines()[1:] if (made / "VA.txt").is_file() else []
    if lines:
        compare("VA.txt", {t: sum(line.startswith(f"{t}/") for line in lines) for t in TRACKS})
    return counted, lost


def _length(path: Path, name: str) -> int:
    import h5py

    with h5py.File(path, "r") as file:
        return len(file[name])
