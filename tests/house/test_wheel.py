"""The wheel in a clean environment with the base libraries only: everything after the scores works.

By default the base libraries are links to those of the environment that runs the tests, so no index is
asked for them. With ABAW_TEST_INSTALL=1 pip installs them anew (about a minute), as a user does.
"""

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest

from abaw_submit.corpus.templates import write_template
from abaw_submit.extras import BASE
from abaw_submit.scores.files import Scores, write_scores
from abaw_submit.tasks import VA

ROOT = Path(__file__).parents[2]
LIMIT_MB = 500
FAST = ["--filters", "6", "--resamples", "100"]


def linked_distributions():
    """The base libraries and what they need themselves, without their optional parts."""
    wanted, done = list(BASE), {}
    while wanted:
        name = wanted.pop()
        if name.lower() in done:
            continue
        distribution = importlib.metadata.distribution(name)
        done[name.lower()] = distribution
        needs = [line for line in distribution.requires or [] if ";" not in line]
        wanted += [line.split(">")[0].split("<")[0].split("=")[0].split("!")[0].strip() for line in needs]
    return done.values()


def link_libraries(site):
    for distribution in linked_distributions():
        tops = {Path(file).parts[0] for file in distribution.files if Path(file).parts[0] != ".."}
        for top in tops - {"__pycache__"}:
            source = Path(distribution.locate_file(top))
            if source.exists() and not (site / top).exists():
                (site / top).symlink_to(source)


def size_mb(folder):
    seen = {}
    for root, _, files in os.walk(folder, followlinks=True):
        for file in files:
            status = os.stat(os.path.join(root, file))
            seen[(status.st_dev, status.st_ino)] = status.st_size
    return sum(seen.values()) / 1e6


def build_wheel(folder):
    """The wheel, made of a copy so that nothing is left beside the sources."""
    source = folder / "source"
    shutil.copytree(
        ROOT / "abaw_submit", source / "abaw_submit", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "-q", "-w", folder / "dist", source]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode and ("setuptools" in done.stderr or "No module named pip" in done.stderr):
        pytest.skip(f"the build needs setuptools from a package index: {done.stderr[-200:]}")
    assert done.returncode == 0, done.stderr
    return next((folder / "dist").glob("*.whl"))


@pytest.fixture(scope="module")
def base_install(tmp_path_factory):
    """The `abaw-submit` of a clean environment."""
    folder = tmp_path_factory.mktemp("wheel")
    wheel = build_wheel(folder)
    whole = os.environ.get("ABAW_TEST_INSTALL") == "1"
    venv.create(folder / "env", with_pip=whole, symlinks=True)
    python = folder / "env" / "bin" / "python"
    if whole:
        install = [python, "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt", wheel]
    else:
        site = next((folder / "env" / "lib").glob("python*/site-packages"))
        link_libraries(site)
        install = [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", wheel]
    done = subprocess.run(install, capture_output=True, text=True, env=clean_environment())
    assert done.returncode == 0, done.stderr
    return folder / "env"


def clean_environment():
    return {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "ABAW", "VIRTUAL_ENV"))}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Annotations of 12 recordings, scores of three folds with test scores, and a template."""
    folder = tmp_path_factory.mktemp("a place elsewhere")
    rng = np.random.default_rng(0)
    tracks = [f"{100 + k}" for k in range(12)]
    test = {"900": 50, "901": 40}
    truth = {t: np.cumsum(rng.normal(0, 0.05, (80, 2)), axis=0).clip(-1, 1) for t in tracks}
    for k, track in enumerate(tracks):
        subset = folder / "annotations/VA_Estimation_Challenge" / ("Validation_Set" if k > 8 else "Train_Set")
        subset.mkdir(parents=True, exist_ok=True)
        lines = [VA.header(), *(f"{v:.3f},{a:.3f}" for v, a in truth[track])]
        (subset / f"{track}.txt").write_text("\n".join(lines) + "\n")
    for k in range(3):
        out = {t: truth[t] + rng.normal(0, 0.2, truth[t].shape) for t in tracks[k::3]}
        unseen = {t: rng.normal(0, 0.2, (rows, 2)) for t, rows in test.items()}
        for name, values in (("validation", out), ("test", unseen)):
            scores = Scores(VA, {t: v.astype(np.float32) for t, v in values.items()})
            write_scores(folder / f"folds/fold_{k}/scores_{name}.h5", scores)
    write_template(folder / "template.txt", test, VA, dummy=False)
    return folder


def run(env, folder, *arguments):
    command = [env / "bin" / "abaw-submit", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=clean_environment())


def test_everything_after_the_scores_works_from_another_folder(base_install, files):
    folds = [f"folds/fold_{k}" for k in range(3)]
    validation = [word for f in folds for word in ("--scores", f"m={f}/scores_validation.h5")]
    test = [word for f in folds for word in ("--scores", f"m={f}/scores_test.h5")]
    template = ["--template", "template.txt"]
    plan = ["--crossfit-folds", 3, "--out", "plan", *FAST]
    for line in (
        ["split", "--task", "VA", "--annotations", "annotations", "--folds", 3, "--out", "splits/va.json"],
        ["split-check", "splits/va.json"],
        ["select", "--task", "VA", *validation, "--truth", "annotations", "--out", "recipe", *FAST],
        ["apply", "--recipe", "recipe", *test, "--out", "final.h5"],
        ["metrics", "--task", "VA", *validation, "--truth", "annotations", "--resamples", 100],
        ["format", "--task", "VA", "--scores", "final.h5", *template, "--out", "VA.txt"],
        ["check", "VA.txt", "--task", "VA", *template],
        ["pack", "VA.txt", "--out", "VA.zip"],
        ["plan", "--task", "VA", "--fold-scores", "folds", "--truth", "annotations", *template, *plan],
    ):
        done = run(base_install, files, *line)
        assert done.returncode == 0, f"{line[0]}: {done.stdout}{done.stderr}"
    assert (files / "VA.zip").is_file()
    assert len(list((files / "plan").rglob("*.zip"))) == 5


def test_the_base_install_is_light(base_install):
    size = size_mb(next((base_install / "lib").glob("python*/site-packages")))
    assert size < LIMIT_MB, f"{size:.0f} MB"


@pytest.mark.parametrize(
    ("line", "extra"),
    [(["crop", ".", "--out", "x"], "faces"), (["predict", "--checkpoint", "."], "train")],
)
def test_a_command_whose_extra_is_missing_says_which(base_install, files, line, extra):
    if line[0] == "predict":
        line = [*line, "--features", ".", "--tracks", "template.txt", "--out", "x.h5"]
    done = run(base_install, files, *line)
    assert done.returncode == 2
    assert f"`{line[0]}` needs" in done.stderr
    assert f".[{extra}]" in done.stderr
    assert "Traceback" not in done.stderr


def test_doctor_says_what_is_missing(base_install, files):
    done = run(base_install, files, "doctor", "--json")
    assert done.returncode == 1, done.stderr
    states = {row["what"]: row for row in json.loads(done.stdout)}
    assert states["numpy"]["state"] == "ok"
    assert states["torch"]["state"] == "missing"
    assert ".[train]" in states["torch"]["fix"]
    assert states["Haar detector"]["state"] == "missing"
