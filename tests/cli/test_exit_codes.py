"""Exit codes as a shell, make or a scheduler sees them, of every command. `CliRunner` cannot show them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest

from abaw_submit.cli import cli
from abaw_submit.store import record_path
from tests.cli.warm_commands import Commands

HEADER = "image_location,valence,arousal\n"
RUN = "my rün"
C = ["-c", "my run.toml"]
VA = ["--task", "VA"]
CROPS = ["--crops", f"work/{RUN}/crops"]
TRUTH = "the data/annotations"
TEMPLATE = "the data/test_sets/CVPR_6th_ABAW_VA_test_set_sample.txt"
MODEL = f"checkpoints/{RUN}/va/fold_"
FOLD = ["--splits", f"splits/{RUN}_va.json", "--fold", "0"]
FEATURES = ["--features", f"work/{RUN}/features/mae_va_0", "--features", f"work/{RUN}/features/logmel"]
FOLDS = [word for k in (0, 1) for word in ("--scores", f"all={MODEL}{k}/scores_validation.h5")]
TESTS = [word for k in (0, 1) for word in ("--scores", f"tmf={MODEL}{k}/scores_test.h5")]
FINETUNE = [*VA, *CROPS, *C, *FOLD]
LOGMEL = ["--extractor", "logmel", *CROPS]
PLAN = [*VA, *C, "--fold-scores", f"checkpoints/{RUN}/va", "--truth", TRUTH]
ABLATE = [
    *[*VA, *C, "--trained", f"{MODEL}{{fold}}", "--features", f"mae=work/{RUN}/features/mae_va_{{fold}}"],
    *["--features", f"logmel=work/{RUN}/features/logmel", "--annotations", TRUTH],
]
# the exit code wanted -> a command line; O/ is a folder for what it makes, B/ has what is broken (`broken`)
CASES = {
    "demo-data": {0: ["the data", "--size", "tiny"], 2: []},
    "doctor": {0: [], 1: ["-c", "B/no videos.toml"], 2: ["-c", "B/no such.toml"]},
    "run": {0: ["report", *C], 1: ["crop", "-c", "B/broken video.toml"], 2: ["nonsense", *C]},
    "status": {0: C, 2: ["-c", "B/wrong.toml"]},
    "clean": {0: ["--dry-run", *C], 2: []},
    "verify": {0: [RUN], 1: ["B/folds.json"], 2: ["no run"]},
    "crop": {
        0: ["B/videos/good.mp4", "--out", "O/c"],
        1: ["B/videos", "--out", "O/d"],
        2: ["no", "--out", "O/e"],
    },
    "template": {0: [*VA, *CROPS, "--out", "O/t.txt"], 2: [*VA, "--crops", "B", "--out", "O/u.txt"]},
    "mtl-list": {
        0: ["--annotations", TRUTH, "--step", "10", "--out", "O/m.txt"],
        2: ["--annotations", "B", "--out", "O/n.txt"],
    },
    "pretrain": {0: ["the data/faces", *C, "--out", "O/mae"], 2: ["B", "--out", "O/m"]},
    "finetune": {
        0: [*FINETUNE, "--annotations", TRUTH, "--encoder", f"checkpoints/{RUN}/mae", "--out", "O/f"],
        2: [*FINETUNE, "--annotations", "B", "--out", "O/g"],
    },
    "extractors": {0: [], 2: ["--nonsense"]},
    "weights": {0: [f"checkpoints/{RUN}/mae"], 1: ["B/weights.safetensors"], 2: []},
    "extract": {
        0: [*LOGMEL, "--videos", "the data/videos", "--out", "O/l", "--tracks", "TRACK"],
        1: [*LOGMEL, "--videos", "B/videos", "--out", "O/m", "--tracks", "TRACK"],
        2: ["--extractor", "logmell", *CROPS, "--out", "O/n"],
    },
    "import-features": {
        0: ["B/good features", "--name", "mine", "--annotations", TRUTH, "--out", "O/i"],
        1: ["B/bad features", "--name", "mine", "--annotations", TRUTH, "--out", "O/j"],
        2: ["B/no features", "--name", "mine", "--annotations", TRUTH, "--out", "O/k"],
    },
    "import-scores": {
        0: ["B/scores", *VA, "--rows-from", TRUTH, "--out", "O/s.h5"],
        2: ["B/good features", *VA, "--rows-from", TRUTH, "--out", "O/t.h5"],
    },
    "split": {
        0: [*VA, "--annotations", TRUTH, "--folds", "2", "--out", "O/s.json"],
        2: [*VA, "--annotations", TRUTH, "--folds", "99", "--out", "O/t.json"],
    },
    "split-check": {0: [f"splits/{RUN}_va.json"], 1: ["B/leak.json"], 2: ["my run.toml"]},
    "train": {
        0: [*VA, *C, *FEATURES, *FOLD, "--annotations", TRUTH, "--out", "O/t"],
        2: [*VA, *C, *FEATURES, *FOLD[:2], "--fold", "9", "--annotations", TRUTH, "--out", "O/u"],
    },
    "choose-epoch": {0: [f"{MODEL}0", f"{MODEL}1", "B/fold_2"], 2: [f"{MODEL}0", f"{MODEL}1"]},
    "predict": {
        0: ["--checkpoint", f"{MODEL}0", *FEATURES, "--tracks", TEMPLATE, "--out", "O/p.h5"],
        2: ["--checkpoint", f"{MODEL}0", *FEATURES[2:], "--tracks", TEMPLATE, "--out", "O/q.h5"],
    },
    "ablate": {
        0: [*ABLATE, *FOLD[:2], "--out", "O/a"],
        2: [*ABLATE, "--splits", "my run.toml", "--out", "O/b"],
    },
    "metrics": {0: [*VA, *FOLDS, "--truth", TRUTH], 2: [*VA, "--scores", "my run.toml", "--truth", TRUTH]},
    "select": {
        0: [*VA, *C, *FOLDS, "--truth", TRUTH, "--out", "O/r"],
        2: [*VA, *C, *FOLDS, "--truth", "B", "--out", "O/s"],
    },
    "apply": {
        0: ["--recipe", f"work/{RUN}/va/recipe", *TESTS, "--out", "O/a.h5"],
        2: ["--recipe", "B", *TESTS, "--out", "O/b.h5"],
    },
    "format": {
        0: [*VA, "--scores", f"work/{RUN}/va/test_scores.h5", "--template", TEMPLATE, "--out", "O/VA.txt"],
        2: [*VA, "--scores", f"{MODEL}0/scores_validation.h5", "--template", TEMPLATE, "--out", "O/W.txt"],
    },
    "check": {
        0: [f"submissions/{RUN}/VA.zip", *VA, "--template", TEMPLATE],
        1: ["B/seven.txt", *VA, "--template", TEMPLATE],
        2: ["B/no such.txt", *VA, "--template", TEMPLATE],
    },
    "pack": {
        0: [f"submissions/{RUN}/VA.txt", "--out", "O/VA.zip"],
        1: ["B/seven.txt", *VA, "--template", TEMPLATE, "--out", "O/W.zip"],
        2: [f"submissions/{RUN}/VA.txt", "--out", "O/VA.rar"],
    },
    "plan": {
        0: [*PLAN, "--template", TEMPLATE, "--out", "O/p"],
        2: [*PLAN, "--out", "O/q"],
    },
    "report": {0: ["--run", RUN, "--out", "O/r.html"], 2: ["--run", "no run", "--table"]},
    "show": {
        0: ["B/videos/good.mp4", "--run", RUN, "--fold", "0", "--csv", "O/s.csv"],
        2: ["B/videos/good.mp4", "--run", RUN],
    },
}  # fmt: skip
# these do what they are asked or refuse it: there are no items of which some may fail
NEVER_1 = {
    *("apply", "clean", "choose-epoch", "demo-data", "extractors", "finetune", "format", "import-scores"),
    *("metrics", "mtl-list", "plan", "predict", "pretrain", "report", "select", "show", "split", "status"),
    *("template", "train", "ablate"),
}


def leaves(command, above=()):
    """The names of all commands of the tree, with the groups above them."""
    if not isinstance(command, click.Group):
        return [" ".join(above)]
    context = click.Context(command)
    return [
        n
        for name in command.list_commands(context)
        for n in leaves(command.get_command(context, name), (*above, name))
    ]


def test_every_command_has_its_cases():
    assert sorted(CASES) == sorted(leaves(cli))
    for name, cases in CASES.items():
        assert set(cases) == {0, 2} | (set() if name in NEVER_1 else {1}), name


def make_broken(place, folder):
    """What the cases call B/."""
    videos = sorted((place / "the data/videos").rglob("*.mp4"))
    (folder / "videos").mkdir(parents=True)
    shutil.copy(videos[0], folder / "videos/good.mp4")
    (folder / "videos/bad.mp4").write_bytes(videos[1].read_bytes()[:3000])
    crop = f'[run]\nname = "broken"\nvideos = "{(folder / "videos").as_posix()}"\n'
    (folder / "broken video.toml").write_text(crop, encoding="utf-8")
    (folder / "no videos.toml").write_text('[run]\nvideos = "nowhere"\n')
    (folder / "wrong.toml").write_text("[run]\nfold = 3\n")
    (folder / "weights.safetensors").write_bytes(b"no weights")
    splits = place / f"splits/{RUN}_va.json"
    for path in (splits, record_path(splits)):
        shutil.copy(path, folder / path.name.replace(splits.name, "folds.json"))
    told = json.loads(splits.read_text(encoding="utf-8"))
    told["folds"][0]["train"].append(told["folds"][0]["validation"][0])
    for name in ("folds.json", "leak.json"):
        (folder / name).write_text(json.dumps(told), encoding="utf-8")
    truth = sorted((place / TRUTH).glob("VA_*/*_Set/*.txt"))
    for kind in ("good features", "bad features", "scores"):
        (folder / kind).mkdir()
    for k, path in enumerate(truth):
        rows = len(path.read_text().splitlines()) - 1
        np.save(folder / "good features" / f"{path.stem}.npy", np.ones((rows, 4)))
        np.save(folder / "bad features" / f"{path.stem}.npy", np.ones((rows // (1 + (k == 0)), 4)))
        scores = path.read_text().replace("-5", "0")  # -5 marks rows that nobody labelled
        (folder / "scores" / path.name).write_text(scores)
    shutil.copytree(place / f"{MODEL}1", folder / "fold_2")  # a third fold
    lines = (place / TEMPLATE).read_text().splitlines()
    (folder / "seven.txt").write_text("\n".join([lines[0], *(f"{line}7,0" for line in lines[1:])]) + "\n")


@pytest.fixture(scope="module")
def commands(finished, tmp_path_factory):
    """A copy of the finished run, and a process that runs commands in it."""
    room = tmp_path_factory.mktemp("codes ü")
    place = room / "a copy"
    shutil.copytree(finished.folder, place)
    make_broken(place, place / "B")
    running = Commands(place, room)
    yield running
    running.close()


def made(folder):
    return {path for path in folder.rglob("*") if not path.name.endswith(".lock")}


@pytest.mark.parametrize("name", CASES)
def test_codes_of_every_command(commands, name, tmp_path):
    track = sorted((commands.folder / f"work/{RUN}/crops").glob("*/ledger.csv"))[0].parent.name
    for code, words in CASES[name].items():
        given = [w.replace("O/", f"{tmp_path}/", 1) if w.startswith("O/") else w for w in words]
        left = made(tmp_path)
        got, said = commands([name, *(track if word == "TRACK" else word for word in given)])
        assert got == code, said
        assert said.strip(), "whatever happened is said"
        assert "Traceback" not in said, said
        assert code != 2 or left == made(tmp_path), "refused, and nothing was made"


# ---- from the outside: what the processes above leave out is the same for all of them
STARTS = {
    "python -m": [sys.executable, "-m", "abaw_submit"],
    "the script": [str(Path(sys.executable).with_name("abaw-submit"))],
}


def run(*arguments, start="python -m", **more):
    command = [*STARTS[start], *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **more)


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "a b ü"
    place.mkdir()
    (place / "template.txt").write_text(HEADER + "v/00001.jpg,\nv/00002.jpg,\n")
    (place / "good.txt").write_text(HEADER + "v/00001.jpg,0.5,0\nv/00002.jpg,-0.25,1\n")
    (place / "broken.txt").write_text(HEADER + "v/00001.jpg,7,0\n")
    return place


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize(("file", "code"), [("good.txt", 0), ("broken.txt", 1), ("nowhere.txt", 2)])
def test_check(folder, file, code, start):
    if not Path(STARTS[start][0]).is_file():
        pytest.skip("the package is not installed here")
    done = run("check", folder / file, "--task", "VA", "--template", folder / "template.txt", start=start)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_broken_file_is_not_packed(folder):
    out = folder / "VA.zip"
    done = run(
        "pack", folder / "broken.txt", "--task", "VA", "--template", folder / "template.txt", "--out", out
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert not out.exists()


@pytest.mark.parametrize(
    "arguments", [["chekc"], ["check"], ["check", "x", "--task", "XX"], ["status", "--nope"]]
)
def test_wrong_usage(arguments):
    assert run(*arguments).returncode == 2


def test_help_and_version():
    assert run("-h").returncode == 0
    assert run("--version").returncode == 0


@pytest.mark.parametrize("command", [["status"], ["run", "crop"], ["clean"], ["doctor"], ["metrics"]])
def test_a_config_of_the_environment_that_is_not_there_is_an_error(folder, command):
    """It was silently left out."""
    done = run(*command, cwd=folder, env={**os.environ, "ABAW_CONFIG": "typo.toml"})
    assert done.returncode == 2
    assert "typo.toml" in done.stderr


@pytest.mark.parametrize("words", [["-cFILE"], ["--config=FILE"], ["-c", "FILE"], ["-nc", "FILE"]])
def test_a_config_is_read_however_it_is_given(folder, words):
    (folder / "FILE").write_text('[run]\nname = "that one"\n')
    done = run("clean", *words, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "Run that one: " in done.stdout
    (folder / "FILE").write_text("[metrics]\ngruop = 3\n")
    if words != ["-nc", "FILE"]:
        done = run("metrics", *words, "--task", "VA", "--scores", "good.txt", "--truth", ".", cwd=folder)
        assert done.returncode == 2
        assert 'unknown key "gruop" in [metrics]' in done.stderr
