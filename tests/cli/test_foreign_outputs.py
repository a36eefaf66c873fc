"""Whatever a stage is told to write to, it takes nothing that is not its own, and none of what it reads."""

import numpy as np
import pytest
from click.testing import CliRunner

from abaw_submit.cli import cli
from abaw_submit.corpus.templates import write_template
from abaw_submit.errors import UserError
from abaw_submit.postprocess.recipe import identity_recipe
from abaw_submit.postprocess.recipe_json import write_recipe
from abaw_submit.scores.files import Scores, write_scores
from abaw_submit.store import Stage
from abaw_submit.tasks import VA

TRACKS = {"102": 12, "108": 9, "video2": 10}
TASK = ("--task", "VA")
# what a stage reads, and its words; {} is where it has to write
STAGES = {
    "apply": (["recipe", "scores.h5"], "apply --recipe recipe --scores m=scores.h5 --out {}"),
    "crop": (["official"], "crop official --detector official --jobs 1 --out {}"),
    "extract": (["crops"], "extract --extractor logmel --videos videos --crops crops --jobs 1 --out {}"),
    "format": (
        ["scores.h5", "template.txt"],
        "format --task VA --scores scores.h5 --template template.txt --out {}",
    ),
    "import-features": (["tables", "crops"], "import-features tables --crops crops --name x --out {}"),
    "import-scores": (["texts"], "import-scores texts --task VA --out {}"),
    "pack": (["good.txt"], "pack good.txt --task VA --template template.txt --out {}"),
    "select": (
        ["scores.h5", "annotations"],
        "select --task VA --scores m=scores.h5 --truth annotations --folds 3 --filters 3 --out {}",
    ),
    "split": (["annotations"], "split --task VA --annotations annotations --folds 3 --out {}"),
    "template": (["crops"], "template --task VA --crops crops --out {}"),
}
SUFFIX = {"import-scores": ".h5", "pack": ".zip", "split": ".json", "template": ".txt", "format": ".txt"}


@pytest.fixture
def place(tmp_path, monkeypatch, make_crops, make_video):
    """Something of everything that these stages read, in the working folder."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    scores = {t: rng.uniform(-1, 1, (n, 2)).astype(np.float32) for t, n in TRACKS.items()}
    write_scores("scores.h5", Scores(VA, scores))
    write_scores("texts", Scores(VA, scores))
    with Stage("select", tmp_path / "recipe", settings={}, inputs=[]) as made:
        write_recipe(tmp_path / "recipe" / "recipe.json", identity_recipe("VA", ["m"]))
        made.output(tmp_path / "recipe" / "recipe.json")
    write_template("template.txt", TRACKS, VA)
    lines = [f"{t}/{k:05d}.jpg,0.500000,0.250000\n" for t, n in TRACKS.items() for k in range(1, n + 1)]
    (tmp_path / "good.txt").write_text("image_location,valence,arousal\n" + "".join(lines))
    annotations = tmp_path / "annotations" / "VA_Estimation_Challenge" / "Train_Set"
    annotations.mkdir(parents=True)
    (tmp_path / "tables").mkdir()
    (tmp_path / "videos").mkdir()
    for track, rows in TRACKS.items():
        (annotations / f"{track}.txt").write_text("valence,arousal\n" + "0.5,-0.25\n" * rows)
        np.save(tmp_path / "tables" / f"{track}.npy", np.ones((rows, 3)))
        make_crops(tmp_path / "crops" / track, rows=rows)
        make_crops(tmp_path / "official" / track, rows=rows)
        (tmp_path / "official" / track / "ledger.csv").unlink()
        make_video(tmp_path / "videos" / f"{track}.mkv", frames=rows)
    return tmp_path


def tree(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def refused(stage, out):
    """Run a stage; what it said."""
    words = [word.replace("{}", str(out)) for word in STAGES[stage][1].split()]
    done = CliRunner().invoke(cli, words)
    assert isinstance(done.exception, (UserError, SystemExit)), done.exception
    assert getattr(done.exception, "exit_code", done.exit_code) == 2, done.output
    return f"{done.exception}{done.output}"


@pytest.mark.parametrize("stage", STAGES)
def test_a_folder_with_a_thesis_stays(place, stage):
    (place / "mine").mkdir()
    (place / "mine" / "thesis.tex").write_text("three years")
    before = tree(place)
    refused(stage, "mine")
    assert tree(place) == before


@pytest.mark.parametrize("stage", STAGES)
def test_a_file_of_somebody_else_stays(place, stage):
    out = f"thesis{SUFFIX.get(stage, '')}"
    (place / out).write_text("three years")
    before = tree(place)
    refused(stage, out)
    assert tree(place) == before


@pytest.mark.parametrize(
    ("stage", "read"), [(stage, read) for stage, (inputs, _) in STAGES.items() for read in inputs]
)
def test_what_is_read_stays(place, stage, read):
    """Given as the output itself, under another name of it, and as the folder around the output."""
    (place / "link").symlink_to(place / read)
    before = tree(place)
    for out in (read, f"crops/../{read}", "link", *([f"{read}/new"] if (place / read).is_dir() else [])):
        refused(stage, out)
        assert tree(place) == before, out
