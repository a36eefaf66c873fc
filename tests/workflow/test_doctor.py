"""`doctor -c`: a run's files looked at before anything runs, on a corpus laid out by hand."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from abaw_submit.cli import cli
from abaw_submit.store import write_text
from abaw_submit.workflow.doctor import Finding, shortly
from abaw_submit.workflow.run_checks import examine_run
from abaw_submit.workflow.sizes import needs
from abaw_submit.workflow.weight_checks import look_into_weights, weights_there

VA_FILE = "valence,arousal\n0.1,0.2\n0.1,0.2\n-5,-5\n"


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    """Two VA tracks of one recording on two sides, a third one, a template, videos in two batches."""
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "my annotations" / "VA_Estimation_Challenge"
    for subset, track in (
        ("Train_Set", "8-30-1x1_left"),
        ("Train_Set", "102"),
        ("Validation_Set", "8-30-1x1"),
    ):
        write_text(root / subset / f"{track}.txt", VA_FILE)
    rows = "".join(f"video9/{k:05d}.jpg,,\n" for k in (1, 2))
    write_text(tmp_path / "va.txt", f"image_location,valence,arousal\n{rows}")
    for name in ("batch1/8-30-1x1.mp4", "batch2/102.avi", "batch2/video9.mp4"):
        write_text(tmp_path / "videos" / name, "")
    write_text(tmp_path / "mae.pth", "")
    return tmp_path


def config(folder, **changes):
    run = {
        "name": "mine",
        "tasks": "VA",
        "videos": "videos",
        "annotations": "my annotations",
        "encoder": "mae.pth",
        "template_va": "va.txt",
        "audio_va": "logmel",
        **changes,
    }
    text = "[run]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in run.items())
    write_text(folder / "mine.toml", text)
    return folder / "mine.toml"


def found(folder, **changes):
    return {f.what: f for f in examine_run(config(folder, **changes))}


def test_a_whole_run_is_fit_and_its_leak_is_told(corpus):
    findings = found(corpus)
    assert not [f for f in findings.values() if f.state == "missing"]
    assert "3 media files" in findings["videos"].detail
    assert "8-30-1x1" in findings["VA official split"].detail
    assert "356 and 76" in findings["VA annotations"].detail  # the official counts to compare with
    assert "927,210" in findings["VA template"].detail


@pytest.mark.parametrize(
    ("changes", "what", "says"),
    [
        ({"videos": "nothere"}, "videos", "nothere"),
        ({"crops": "nothere"}, "crops", "nothere"),
        ({"annotations": "nothere"}, "VA annotations", "nothere"),
        ({"template_va": "nothere.txt"}, "VA template", "nothere.txt"),
        ({"encoder": "nothere.pth"}, "encoder", "nothere.pth"),
        ({"encoder": ""}, "encoder", "both empty"),
        ({"audio_va": "vggish"}, "extractor vggish", "no weights"),
        ({"trained": "other"}, "VA models of run other", "checkpoints/other/va"),
    ],
)
def test_whatever_is_not_there_is_named_with_what_to_do(corpus, changes, what, says):
    finding = found(corpus, **changes)[what]
    assert finding.state == "missing"
    assert says in finding.detail
    assert finding.fix


def test_a_track_without_a_video_is_named(corpus):
    (corpus / "videos/batch2/video9.mp4").unlink()
    finding = found(corpus)["a video for every track"]
    assert finding.state == "missing"
    assert "video9" in finding.detail


def test_weights_that_do_not_load_are_told(corpus):
    import torch

    findings = {f.what: f for f in look_into_weights(examine_run(config(corpus)))}
    assert findings["encoder"].state == "missing"
    assert "abaw-submit weights mae.pth" in findings["encoder"].fix
    torch.save({"some": torch.zeros(2)}, corpus / "mae.pth")
    again = {f.what: f for f in look_into_weights(examine_run(config(corpus)))}
    assert "does not load" in again["encoder"].detail


def test_the_size_of_a_run_grows_with_its_folds(corpus):
    one, five = (needs(config(corpus, folds=folds, jobs=1)) for folds in (2, 5))
    assert one.rows == five.rows == 3 * 3 + 2
    assert five.disk_gib["checkpoints"] == pytest.approx(
        8 / 5 * one.disk_gib["checkpoints"]
    )  # of the one in training, weights and two moments as well
    assert sum(five.hours.values()) > sum(one.hours.values())
    members = needs(config(corpus, folds=2, models="tmf gru", seeds=3))
    name = "sequence models"
    assert members.hours[name] == pytest.approx(6 * one.hours[name])


def test_the_command_exits_1_and_says_what_is_missing(corpus):
    path = config(corpus, videos="nothere")
    command = [sys.executable, "-m", "abaw_submit", "doctor", "-c", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "MISSING  videos: no folder nothere" in done.stdout
    assert "videos" in done.stderr.splitlines()[-1]


def test_weights_are_files_or_names_that_are_fetched(tmp_path):
    (tmp_path / "w.pth").write_bytes(b"")
    there = {
        str(tmp_path / "w.pth"): "ok",
        f"timm:resnet18@{tmp_path / 'w.pth'}": "ok",
        "vit_base_patch16_224.mae": "ok",
        "hf-hub:timm/vit_tiny_patch16_224.augreg": "ok",
        "nowhere.pth": "missing",
        "timm:resnet18@nowhere.pth": "missing",
        "data/mae": "missing",
    }
    assert {source: weights_there("encoder", source, "").state for source in there} == there


def test_what_is_not_installed_is_one_line_an_extra_and_the_light_installation_is_named():
    found = [
        Finding("Python", "ok", "3.11.7"),
        Finding("numpy", "ok", "2.0"),
        Finding("torch", "missing", "not installed", "fix train"),
        Finding("timm", "missing", "not installed", "fix train"),
        Finding("jinja2", "note", "not installed", "fix report"),
        Finding("disk", "ok", "5 GiB free"),
    ]
    lines = shortly(found)
    assert [f.what for f in lines] == [
        "Python", "packages", "light installation", "extra train", "extra report", "disk",
    ]  # fmt: skip
    assert lines[1].detail == "1 of 4 installed"
    assert "not installed (torch, timm); needed by pretrain" in lines[3].detail
    assert (lines[3].state, lines[3].fix) == ("missing", "fix train")


def test_a_key_that_a_run_would_refuse_is_missing_to_doctor_too(corpus):
    path = config(corpus)
    path.write_text(path.read_text() + "\n[train]\nepoch = 3\n")
    done = CliRunner().invoke(cli, ["doctor", "-c", str(path)])
    assert "settings" in done.output
    assert 'Did you mean "epochs"' in done.output
