"""What a run costs: the arithmetic by hand, the trial of a machine, and the command."""

import json
import subprocess
import sys

import pytest

from abaw_submit.models.settings import VitSize
from abaw_submit.store import write_text
from abaw_submit.tasks import AU_COLUMNS
from abaw_submit.workflow.rates import H100, Rates, measure_rates
from abaw_submit.workflow.sizes import CROPPING, needs

SMALL = VitSize(img_size_px=16, patch_px=8, dim=8, depth=1, heads=2)


@pytest.fixture
def config(tmp_path, monkeypatch):
    """VA, three annotated tracks of 40 rows, a template of 20, a small encoder."""
    monkeypatch.chdir(tmp_path)
    rows = "".join("0.1,0.2\n" for _ in range(40))
    for subset, track in (("Train_Set", "102"), ("Train_Set", "103"), ("Validation_Set", "8-30-1x1")):
        write_text(
            tmp_path / "ann" / "VA_Estimation_Challenge" / subset / f"{track}.txt", "valence,arousal\n" + rows
        )
    lines = "".join(f"video9/{k:05d}.jpg,,\n" for k in range(1, 21))
    write_text(tmp_path / "va.txt", f"image_location,valence,arousal\n{lines}")
    for name in ("videos", "faces"):
        (tmp_path / name).mkdir()
    run = {"name": "mine", "tasks": "VA", "folds": 2, "jobs": 1, "videos": "videos", "annotations": "ann"}
    run |= {"template_va": "va.txt", "faces": "faces"}
    text = "[run]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in run.items())
    text += "[pretrain]\nimg_size_px = 16\npatch_px = 8\ndim = 8\ndepth = 1\nheads = 2\n"
    text += "[finetune]\nepochs = 10\nframe_step = 4\n[train]\nepochs = 5\n"
    write_text(tmp_path / "mine.toml", text)
    return tmp_path / "mine.toml"


def test_hours_are_items_by_rate(config):
    rates = Rates("this one", crop=2.0, finetune=3.0, extract=4.0, train=5.0)
    found = needs(config, rates=rates)
    hours = {name: value * 3600 for name, value in found.hours.items()}
    assert found.rows == 140
    assert hours[CROPPING] == pytest.approx(140 / 2)
    assert hours["visual features"] == pytest.approx(140 * 2 / 4)
    assert hours["sequence models"] == pytest.approx(120 * 0.5 * 2 * 5 / 5)
    assert hours["fine-tuning of 2 encoders"] == pytest.approx(120 * 0.99 * 0.5 * 2 * 10 / 4 / 3)
    table = found.table()
    device = sum(value for name, value in found.hours.items() if name != CROPPING)
    assert f"{device:.2f} h" in next(line for line in table if "this one" in line)


def test_the_disk_holds_weights_and_with_temp_the_features_of_one_task(config):
    text = config.read_text()
    found = needs(config)
    weights = 12 * 8**2 * 4  # one block of width 8, float32
    # two encoders, and AdamW's two moments beside the weights of the one that is being trained
    assert found.disk_gib["checkpoints"] * 2**30 == pytest.approx((2 + 3) * weights)
    for folder in sorted((config.parent / "ann/VA_Estimation_Challenge").glob("*/*.txt")):
        au = config.parent / "ann/AU_Detection_Challenge" / folder.parent.name / folder.name
        write_text(au, ",".join(AU_COLUMNS) + "\n" + ",".join("0" * 12) + "\n")
    both = text.replace('tasks = "VA"', 'tasks = "AU VA"')
    config.write_text(both)
    kept = needs(config).disk_gib["features"] * 2**30
    config.write_text(both.replace("[run]", "[run]\ntemp = true"))
    temporary = needs(config).disk_gib["features"] * 2**30
    # AU has three rows, VA 120 and 20 of the template; two encoders of 8 numbers in float16
    assert (kept, temporary) == (pytest.approx((3 + 140) * 2 * 8 * 2), pytest.approx(140 * 2 * 8 * 2))


def test_an_h100s_rates_are_of_vit_b_and_scaled_by_arithmetic(config):
    assert H100.for_size(VitSize()) == H100
    half = H100.for_size(VitSize(depth=6))
    assert (half.finetune, half.extract, half.train) == (2 * 949, 2 * 818, 25_000)
    assert needs(config).hours == needs(config, rates=H100.for_size(SMALL)).hours


def test_a_short_trial_gives_rates_of_every_stage():
    import torch

    threads = torch.get_num_threads()
    small = measure_rates(SMALL, seconds=0.05)
    large = measure_rates(VitSize(img_size_px=64, patch_px=8, dim=96, depth=4, heads=3), seconds=0.05)
    assert min(small.finetune, small.extract, small.train, small.bf16) > 0
    assert large.finetune < small.finetune
    assert large.extract < small.extract
    assert torch.get_num_threads() == threads


def test_the_command_prints_both(config):
    command = [sys.executable, "-m", "abaw_submit", "run", "submission", "-c", str(config)]
    done = subprocess.run([*command, "--dry-run", "--cost"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("all but cropping") == 2
    assert "one H100, as measured before" in done.stdout
    assert "a short trial" in done.stdout
    assert done.stdout.count('times as fast here; [extract] precision = "bf16" takes it') == 1
    done = subprocess.run([*command, "--cost"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "--cost goes with --dry-run" in done.stderr
