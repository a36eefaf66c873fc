"""Runs with real processes: killed, of two at once, with something missing, with features given up."""

import json
import os
import signal
import struct
import time

from abaw_submit.workflow.devices import one_device

TRAINED = ("train_va_0", "train_va_1", "ablate_va_0", "ablate_va_1")


def forget_training(place):
    """As if the sequence models had never been trained."""
    for stage in (*TRAINED, "select_va", "apply_va", "submit_va", "report"):
        (place.work / "stages" / f"{stage}.json").unlink()
        (place.work / "stages/state" / f"{stage}.json").unlink()
    for path in (place.folder / "checkpoints/my rün/va").glob("[fv]*_*/*"):
        path.unlink()


def wait_for(condition, process=None):
    for _ in range(6000):
        if condition():
            return
        assert process is None or process.poll() is None, process.communicate()[0]
        time.sleep(0.01)
    raise AssertionError("it never came to that")


def state_of(place, job):
    try:
        return json.loads((place.work / "stages/state" / f"{job}.json").read_text())
    except (OSError, ValueError):
        return {"state": ""}


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as handle:
        return handle.read().rsplit(")", 1)[1].split()[0] != "Z"


def test_a_killed_run_leaves_nothing_running_and_goes_on_to_the_same_bytes(place):
    wanted = place.zip()
    forget_training(place)
    process = place.start("run", "report", "-c", place.config.name, "--jobs", "1")
    wait_for(lambda: state_of(place, "train_va_0")["state"] == "running", process)
    job = state_of(place, "train_va_0")["pid"]
    process.send_signal(signal.SIGKILL)
    process.communicate()
    wait_for(lambda: not alive(job))
    rows = place.status()
    assert rows["train_va_0"]["state"] in ("done", "missing")  # it may have come to its end just then
    assert rows["submit_va"]["state"] == rows["report"]["state"] == "missing"
    (place.folder / "submissions/my rün/VA.zip").unlink()
    place.run("report", "--jobs", "2")
    assert place.zip() == wanted
    assert place.plan() == {}


def test_a_config_edited_while_a_run_goes_is_the_next_run_s(place):
    """A job that began later once read the new settings, and its stamp said the old ones."""
    wanted = place.zip()
    forget_training(place)
    process = place.start("run", "submission", "-c", place.config.name, "--jobs", "1")
    wait_for(lambda: state_of(place, "train_va_0")["state"] == "running", process)
    place.change("[train]\nepochs = 1", "[train]\nepochs = 2")
    out, _ = process.communicate()
    assert process.returncode == 0, out
    assert place.zip() == wanted
    assert place.plan()["train VA, fold 0"] == place.plan()["train VA, fold 1"] == "epochs 1 -> 2"
    place.change("[train]\nepochs = 2", "[train]\nepochs = 1")
    assert set(place.plan(target="submission")) == set()


def test_folds_that_another_run_has_not_trained_are_named(place):
    config = place.folder / "my clips.toml"
    config.write_text(
        '[run]\nname = "clips"\ntrained = "my rün"\ntasks = "VA"\nfolds = 3\nvideos = "the data/videos"\n'
    )
    for words in (["run", "submission"], ["run", "submission", "-n"], ["status"]):
        said = place(*words, "-c", config.name, code=2)
        assert "checkpoints/my rün/va/encoder_2" in said
        assert "Make the submission of run my rün first" in said


def test_a_run_killed_while_it_makes_its_corpus_goes_on(fresh, finished):
    """Half a corpus was taken for a whole one, whose templates are missing: the run could never go on."""
    (fresh.folder / "the data").rename(fresh.folder / "not this")
    fresh.change("folds = 2", 'folds = 2\ncorpus = "the data"')
    fresh.config.write_text(fresh.config.read_text(encoding="utf-8") + '[demo-data]\nsize = "tiny"\n')
    process = fresh.start("run", "crop", "-c", fresh.config.name)
    wait_for(lambda: any((fresh.folder / "the data").rglob("*.mp4")), process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert fresh.status()["submit_va"]["state"] == "missing"
    out = fresh.run("crop")
    assert "corpus" in out
    for ledger in (finished.work / "crops").glob("*/ledger.csv"):
        assert (fresh.work / "crops" / ledger.parent.name / "ledger.csv").read_bytes() == ledger.read_bytes()


def test_status_of_a_run_not_yet_begun(fresh):
    """Everything is missing, in the order of the work; it listed nothing, and `next` was a guess."""
    rows = fresh.status()
    assert {row["state"] for row in rows.values()} == {"missing"}
    assert next(iter(rows)) == "crop"
    assert list(rows)[-1] == "report"
    said = fresh("status", "-c", fresh.config.name)
    assert "15 missing" in said
    assert f"Next: abaw-submit run report -c '{fresh.config.name}'" in said
    assert not (fresh.folder / "work").exists()  # looking makes nothing


def test_a_second_run_of_the_same_name_says_who_is_at_it(place):
    forget_training(place)
    process = place.start("run", "submission", "-c", place.config.name)
    wait_for(lambda: state_of(place, "train_va_0")["state"] == "running", process)
    job = state_of(place, "train_va_0")["pid"]
    os.kill(job, signal.SIGSTOP)  # so that it runs as long as we look
    said = place.run("submission", code=2)
    assert f"process {process.pid} on" in said
    row = place.status()["train_va_0"]
    assert row["state"] == "running"
    assert f"process {job} on" in row["why"]
    assert "Next: Wait" in place("status", "-c", place.config.name)
    os.kill(job, signal.SIGCONT)
    process.terminate()
    process.communicate()


def test_a_track_without_a_video_is_named_and_the_rest_goes_on(fresh):
    template = next((fresh.folder / "the data/test_sets").glob("*VA*sample.txt"))
    track = template.read_text().splitlines()[-1].split("/")[0]
    video = next((fresh.folder / "the data/videos").rglob(f"{track.split('_')[0]}*"))
    video.unlink()
    out = fresh.run("report", code=1)
    assert f"none for 1 ({track})" in out
    rows = fresh.status()
    assert [item for item, _ in rows["crop"]["failures"]] == [track]
    assert rows["crop"]["state"] == rows["train_va_0"]["state"] == rows["apply_va"]["state"] == "done"
    assert rows["submit_va"]["state"] == "failed"
    assert rows["report"]["state"] == "stale"  # made all the same, and to be made again with the submission
    log = (fresh.folder / rows["submit_va"]["log"]).read_text()
    assert track in log  # format names the track whose rows are missing
    assert track in out
    assert not (fresh.folder / "submissions/my rün/VA.zip").exists()
    assert (fresh.folder / "submissions/my rün/report.html").exists()


def test_what_failed_is_made_again_when_asked(place):
    """Something in the way of one file: nothing that a run knows of changes when it is gone."""
    features = place.work / "features" / "logmel"
    blocked = sorted(features.glob("*.h5"))[0]
    blocked.unlink()
    blocked.mkdir()
    out = place.run("features", code=1)
    assert "1 items failed" in out
    row = place.status()["sound_logmel"]
    assert [item for item, _ in row["failures"]] == [blocked.stem]
    assert "--retry-failed" in out
    blocked.rmdir()
    assert "1 items failed" in place.run("features", code=1)
    assert not blocked.exists()
    place.run("features", "--retry-failed")
    assert blocked.is_file()
    assert place.status()["sound_logmel"]["failures"] == []


def test_crop_with_nothing_to_do_reads_no_video(place):
    video = sorted((place.folder / "the data/videos").rglob("*.mp4"))[0]
    with video.open("ab") as handle:  # an empty box: too large to be hashed for nothing
        handle.write(struct.pack(">I4s", 1 << 20, b"free") + bytes((1 << 20) - 8))
    place.run("crop")
    env, log = place.written_down("open", "arguments[0].endswith('.mp4')")
    alone = ["crop", "the data/videos", "--out", place.work / "crops", *rows_of(place)]
    assert "Nothing to do" in place("run", "crop", "-c", place.config.name, env=env)
    assert "nothing to do" in place(*alone, "-c", place.config.name, env=env)
    assert video.name not in log.read_text()


def rows_of(place):
    template = next((place.folder / "the data/test_sets").glob("*VA*sample.txt"))
    names = ("the data/annotations", template.relative_to(place.folder))
    return [word for name in names for word in ("--rows-from", name)]


def test_videos_through_trained_folds_import_torch_once(place):
    """A run that only uses the folds of another one: one process imports, the jobs are its children."""
    config = place.folder / "my clips.toml"
    config.write_text(
        '[run]\nname = "clips ü"\ntrained = "my rün"\ntasks = "VA"\nfolds = 2\nvideos = "the data/videos"\n'
        'audio_va = "logmel"\n[crop]\nmargin = 0.0\n[extract]\njobs = 1\n'
    )
    env, log = place.written_down("open", "'torch/__pycache__/__init__.' in arguments[0]")
    out = place("run", "submission", "-c", config.name, "--jobs", "2", env=env)
    assert "predict VA" in out
    assert len({line.split()[0] for line in log.read_text().splitlines()}) == 1
    template = place.folder / "work/clips ü/va/template.txt"
    zip_file = place.folder / "submissions/clips ü/VA.zip"
    assert place("check", zip_file, "--task", "VA", "--template", template).endswith("\nOK\n")
    assert "Nothing to do" in place("run", "submission", "-c", config.name)
    place.change("[train]\nepochs = 1", "[train]\nepochs = 2")
    place.run("train")
    said = place("run", "submission", "-c", config.name, "-n")
    assert "predict VA" in said  # other weights: their scores are not these


def test_features_are_given_up_and_come_back_when_they_are_needed(place):
    place.change("folds = 2", "folds = 2\ntemp = true")
    forget_training(place)
    wanted = place.zip()
    features = place.work / "features"
    place.run("report")
    assert sorted(p.name for p in features.iterdir() if not p.name.startswith(".")) == ["logmel"]
    assert "Nothing to do" in place.run("report")
    assert place.zip() == wanted
    place.change("[train]\nepochs = 1", "[train]\nepochs = 2")
    plan = place.plan()
    assert plan["features VA"] == "not made yet"
    assert "finetune VA, fold 0" not in plan
    place.run("features")  # asked for, they are made again, and stay
    assert {p.name for p in features.iterdir()} >= {"mae_va_0", "mae_va_1"}


def test_features_are_given_up_before_the_run_ends(place):
    place.change("folds = 2", "folds = 2\ntemp = true")
    forget_training(place)
    process = place.start("run", "report", "-c", place.config.name)
    features = [place.work / "features" / f"mae_va_{k}" for k in (0, 1)]
    wait_for(lambda: not any(path.exists() for path in features), process)
    assert state_of(place, "report")["state"] != "done"
    assert process.wait() == 0, process.communicate()[0]


def test_all_that_is_missing_is_said_before_anything_is_made(fresh):
    fresh.change('audio_va = "logmel"', 'audio_va = "vggish"')
    fresh.change('template_va = "the', 'template_va = "no')
    fresh.change('faces = "the data/faces"', "")
    said = fresh.run("submission", code=2)
    for part in ("extractor vggish", "VA template", "encoder"):
        assert part in said
    assert not list((fresh.work / "stages").glob("state/*"))
    assert not (fresh.work / "crops").exists()


def test_a_setting_of_a_late_stage_is_checked_before_the_first(fresh):
    fresh.change("resamples = 100", "resamples = 100\nstep = 1")
    said = fresh.run("submission", code=2)
    assert 'unknown key "step" in [select]' in said


def test_a_failed_job_shows_its_last_lines_and_its_log(place):
    place.change("[train]\nepochs = 1", "[train]\nepochs = 2\nlr = 1e30")
    out = place.run("submission", code=1)
    assert "FAILED. Its log: work/my rün/stages/logs/train_va_0.log" in out
    assert "Error: " in out
    rows = place.status()
    assert rows["train_va_0"]["state"] == "stale" or rows["train_va_0"]["state"] == "failed"
    assert not place.plan(target="crop")


def test_each_job_has_a_device_of_its_own(tmp_path):
    with one_device(["0", "1"], tmp_path) as first, one_device(["0", "1"], tmp_path) as second:
        assert {first, second} == {"0", "1"}
    with one_device(["0", "1"], tmp_path) as again:
        assert again == "0"
    with one_device([], tmp_path) as none:
        assert none == ""


def test_jobs_side_by_side_have_devices_of_their_own(place, tmp_path):
    """Two made-up devices, which torch does not find: it works on, on the processor."""
    forget_training(place)
    env = {"CUDA_VISIBLE_DEVICES": "7,8,9", "TMPDIR": str(tmp_path)}
    process = place.start("run", "train", "-c", place.config.name, "--jobs", "4", "--gpus", "2", env=env)
    stopped = []
    for job in ("train_va_0", "train_va_1"):
        wait_for(lambda job=job: state_of(place, job)["state"] == "running", process)
        stopped.append(state_of(place, job))
        os.kill(stopped[-1]["pid"], signal.SIGSTOP)
    assert {state["device"] for state in stopped} == {"7", "8"}
    for state in stopped:
        os.kill(state["pid"], signal.SIGCONT)
    out, _ = process.communicate()
    assert process.returncode == 0, out
