"""What is made again when something changes, and that nothing else is. The plan is asked; nothing is made."""

import json
import os
import re
import shutil
import tomllib

import pytest

TRAINING = {"train VA, fold 0", "train VA, fold 1", "ablate VA, fold 0", "ablate VA, fold 1"}
AFTER_TRAINING = {"select VA", "apply VA", "submit VA", "report"}
ENCODERS = {"finetune VA, fold 0", "finetune VA, fold 1", "features VA"}


def test_the_first_run_says_one_line_a_job(finished):
    lines = (finished.folder / "first output").read_text(encoding="utf-8").splitlines()
    jobs = [line for line in lines if re.match(r" *\[\d+/\d+\] ", line)]
    assert len(jobs) == 15
    assert all(re.search(r"\d+\.\d s  \S", line) for line in jobs)
    assert "validation mean CCC" in next(line for line in jobs if "train VA, fold 0" in line)


def test_a_second_run_has_nothing_to_do(place):
    assert "Nothing to do" in place.run("report")
    assert place.plan() == {}


def test_a_changed_setting_makes_again_what_hangs_on_it(place):
    place.change("[train]\nepochs = 1", "[train]\nepochs = 2")
    plan = place.plan()
    assert set(plan) == TRAINING | AFTER_TRAINING
    assert plan["train VA, fold 0"] == "epochs 1 -> 2"
    assert plan["report"] == "what it needs is made again"


def test_a_run_that_was_copied_without_hidden_folders_knows_what_has_changed(place):
    """What Snakemake notes for itself lies in .snakemake; the stamps say the same."""
    place.change("[train]\nepochs = 1", "[train]\nepochs = 2")
    shutil.rmtree(place.folder / ".snakemake")
    assert set(place.plan()) == TRAINING | AFTER_TRAINING


def test_a_setting_of_the_environment_counts_too(place):
    plan = place.run("submission", "--dry-run", env={"ABAW_TRAIN_SEED": "5"})
    assert "train VA, fold 0: seed 0 -> 5" in plan
    assert "finetune" not in plan


def test_a_new_version_of_a_stages_code_makes_it_again(place):
    """As if the package had been updated: `sitecustomize` is imported before anything else."""
    assert place.plan() == {}
    text = "from abaw_submit.store import VERSIONS\nVERSIONS['train'] = 99\n"
    plan = place.plan(env=place.hooked(text))
    assert set(plan) == TRAINING | AFTER_TRAINING
    assert re.fullmatch(r"code \d+ -> 99", plan["train VA, fold 0"])


@pytest.mark.parametrize(
    "setting", ["[extract]\njobs = 2\n", "[crop]\njobs = 3\n", "[train]\ncache_gib = 1\n"]
)
def test_settings_that_change_no_byte_change_nothing(place, setting):
    section, line = setting.split("\n", 1)
    text = place.config.read_text(encoding="utf-8")
    text = text.replace(section, setting.rstrip()) if section in text else text + setting
    place.config.write_text(text, encoding="utf-8")
    assert line in text
    assert place.plan() == {}


def test_a_changed_annotation_makes_folds_and_models_again(place):
    path = next((place.folder / "the data/annotations/VA_Estimation_Challenge/Train_Set").glob("*.txt"))
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], "0.123,0.321", *lines[2:]]) + "\n")
    plan = place.plan()
    assert plan["split VA"] == "annotations changed"
    assert {"split VA"} | ENCODERS | TRAINING | AFTER_TRAINING == set(plan)


def test_an_annotation_of_the_same_size_and_an_older_date_is_seen(place):
    """The date is not what counts."""
    path = next((place.folder / "the data/annotations/VA_Estimation_Challenge/Train_Set").glob("*.txt"))
    stat = path.stat()
    lines = path.read_text().splitlines()
    lines[1], lines[2] = lines[2], lines[1]
    assert lines[1] != lines[2]
    path.write_text("\n".join(lines) + "\n")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns - 10**12))
    assert place.plan()["split VA"] == "annotations changed"


def test_a_touched_annotation_changes_nothing(place):
    for path in (place.folder / "the data/annotations").rglob("*.txt"):
        path.touch()
    assert place.plan() == {}


def test_a_changed_template_is_seen(place):
    path = next((place.folder / "the data/test_sets").glob("*VA*sample.txt"))
    lines = path.read_text().splitlines()
    track = lines[-1].split("/")[0]
    path.write_text("\n".join(line for line in lines if not line.startswith(f"{track}/")) + "\n")
    plan = place.plan()
    assert plan["submit VA"] == "template changed"
    assert "rows changed" in plan["crop"]


def test_another_number_of_folds_is_seen(place):
    plan = place.plan("--folds", "3")
    assert plan["split VA"] == "folds 2 -> 3"
    assert "train VA, fold 2" in plan
    assert "not made yet" in plan["train VA, fold 2"]
    assert 'members ["0", "1"]' in plan["select VA"].replace("'", '"')


@pytest.mark.parametrize(
    ("gone", "job"),
    [
        ("checkpoints/my rün/va/encoder_0/record.json", "finetune VA, fold 0"),
        ("work/my rün/crops/record.json", "crop"),
        ("splits/my rün_va.json.record.json", "split VA"),
        ("checkpoints/my rün/va/fold_1/model.safetensors", "train VA, fold 1"),
        ("submissions/my rün/VA.zip", "submit VA"),
        ("submissions/my rün/report.html", "report"),
    ],
)
def test_what_is_gone_is_made_again(place, gone, job):
    (place.folder / gone).unlink()
    plan = place.plan()
    assert gone.split("/")[-1] in plan[job]
    assert place.status()[job.replace("VA", "va").replace(", fold", "").replace(" ", "_")]["state"] == "stale"


def test_a_result_changed_by_hand_is_not_shipped(place):
    path = place.folder / "submissions/my rün/VA.txt"
    path.write_text(path.read_text().replace("0.", "0.0", 1))
    assert "changed" in place.plan(target="submission")["submit VA"]


def test_a_replaced_video_is_seen(place):
    videos = sorted((place.folder / "the data/videos").rglob("*.mp4"))
    shutil.copy(videos[0], videos[1])
    plan = place.plan()
    assert plan["crop"] == plan["sound logmel"] == "videos changed"
    assert "pretrain" not in plan
    assert "split VA" not in plan


def test_a_second_visual_feature_is_one_line(place):
    """The extractor `embedding` of any weights: extracted once, and trained with beside the rest."""
    source = "checkpoints/my rün/mae"
    place.change('audio_va = "logmel"', f'audio_va = "logmel"\nembedding = "{source}"')
    assert set(place.plan()) == {"sound embedding"} | TRAINING | AFTER_TRAINING
    source_made = {"pretrain"} | ENCODERS | {"sound embedding"} | TRAINING | AFTER_TRAINING
    (place.folder / "checkpoints/my rün/mae/record.json").unlink()  # weights of the run's own are the graph's
    assert set(place.plan()) == source_made
    place.run("features")
    assert any((place.work / "features" / "embedding").glob("*.h5"))
    lines = place.run("train", "--dry-run")
    assert "sound embedding" not in lines
    assert "train VA, fold 0" in lines


def test_models_and_seeds_are_members_of_the_submission(place):
    place.change('audio_va = "logmel"', 'audio_va = "logmel"\nmodels = "tmf gru"\nseeds = 2')
    place.change("[select]", "[train.gru]\nlayers = 2\n\n[select]")
    assert not {"features VA", "finetune VA, fold 0"} & set(place.plan())
    place.run("submission")
    names = ["tmf", "tmf_seed1", "gru", "gru_seed1"]
    recipe = json.loads((place.work / "va" / "recipe" / "recipe.json").read_text())
    assert sorted(recipe["members"]) == sorted(names)
    trained = place.folder / "checkpoints" / "my rün" / "va"
    for name, model, layers in (("fold_0_seed1", "tmf", 1), ("gru_1_seed1", "gru", 2)):
        config = tomllib.loads((trained / name / "config.toml").read_text())
        assert (config["sequence"]["model"], config["sequence"]["layers"]) == (model, layers)
        assert config["train"]["seed"] == 1
    place.change("layers = 2", "layers = 1")
    assert set(place.plan()) == TRAINING | AFTER_TRAINING


def test_seeds_of_a_run_are_set_in_one_place(place):
    place.change("[train]", "[train]\nseeds = 3")
    assert "Set that" in place.run("train", code=2)


def test_the_papers_tables_are_made_of_the_trained_models(place):
    place.run("ablate")
    tables = {path.name for path in (place.work / "ablations").glob("*.csv")}
    assert tables == {f"va_{name}.csv" for name in ("folds", "filters", "parts", "features")}
    rows = (place.work / "ablations" / "va_parts.csv").read_text().splitlines()[1:]
    assert [row.split(",")[0] for row in rows] == [
        "full model", "without TMF (single frames)", "without fine-tuning",
    ]  # fmt: skip
    assert place.plan(target="ablate") == {}
