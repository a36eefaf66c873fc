"""What OpenFace, LibreFace, py-feat, DeepFace, MMPose and challenge code write: the same scores out."""

import gzip
import json
import pickle
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from abaw_submit.errors import UserError
from abaw_submit.scores.sniff.assemble import Expected
from abaw_submit.scores.sniff.table import Options
from abaw_submit.scores.sniff.understand import understand
from abaw_submit.tasks import TASKS

ROWS = {"102": 23, "video2_left": 31, "10-60-1280x720": 27}
EMOTIONS = ["neutral", "angry", "disgust", "fear", "happy", "sad", "surprise", "other"]
LAYOUTS = {}


def scores_of(task):
    """(rows, outputs) by track; rounded, so that text holds them whole."""
    rng = np.random.default_rng(5)
    low = -0.9 if task == "VA" else 0.01
    found = {t: rng.uniform(low, 0.9, (n, TASKS[task].outputs)) for t, n in ROWS.items()}
    if task == "EXPR":
        found = {t: values / values.sum(axis=1, keepdims=True) for t, values in found.items()}
    return {t: values.round(5) for t, values in found.items()}


def layout(task, **options):
    def noted(function):
        LAYOUTS[function.__name__] = (task, options, function)
        return function

    return noted


def frames(tracks, names, first=0):
    """A table a track: `frame`, then the scores under these names."""
    for track, values in tracks.items():
        table = pd.DataFrame(values, columns=names)
        table.insert(0, "frame", np.arange(first, first + len(values)))
        yield track, table


def whole(tracks, names=("valence", "arousal")):
    return pd.concat([table.assign(video=track) for track, table in frames(tracks, names, 1)])


def pictures(tracks):
    return [f"{track}/{k:05d}.jpg" for track, values in tracks.items() for k in range(1, len(values) + 1)]


def below(tracks):
    return np.concatenate(list(tracks.values()))


AUS = [column[2:] for column in TASKS["AU"].columns]


@layout("AU")
def libreface_with_times_and_pose(out, tracks):
    for track, table in frames(tracks, [f"au_{n}" for n in AUS]):
        table.insert(1, "frame_time_in_ms", table["frame"] * 33.37)
        table.assign(pitch=0.1, facial_expression="Happiness").to_csv(out / f"{track}.csv", index=False)


@layout("AU", intensity=True)
def openface_intensities_beside_presence(out, tracks):
    fifths = {track: values * 5 for track, values in tracks.items()}
    for track, table in frames(fifths, [f" AU{int(n):02d}_r" for n in AUS], 1):
        table.insert(1, " timestamp", (table["frame"] / 30).round(3))
        for n in AUS:
            table[f" AU{int(n):02d}_c"] = 1.0
        table.assign(**{" confidence": 0.9, " success": 1}).to_csv(out / f"{track}.csv", index=False)


@layout("AU")
def pyfeat_with_other_units_and_emotions(out, tracks):
    for track, table in frames(tracks, [f"AU{int(n):02d}" for n in AUS]):
        more = {"AU05": 0.3, "anger": 0.1, "input": f"/data/{track}.mp4", "Identity": "Person_0"}
        table.assign(FaceScore=0.99, **more).to_csv(out / f"{track}.csv", index=False)


@layout("EXPR", percent=True)
def deepface_with_an_emotion_dictionary(out, tracks):
    for track, values in tracks.items():
        entries = [
            {"frame": k, "emotion": dict(zip(EMOTIONS, row, strict=True)), "dominant_emotion": "happy"}
            for k, row in enumerate((values * 100).tolist())
        ]
        (out / f"{track}.json").write_text(json.dumps(entries))


@layout("EXPR", percent=True)
def deepface_with_a_list_of_faces(out, tracks):
    for track, values in tracks.items():
        rows = (values * 100).tolist()
        entries = [[{"emotion": dict(zip(EMOTIONS, row, strict=True)), "region": {"x": 1}}] for row in rows]
        (out / f"{track}.json").write_text(json.dumps(entries))


@layout("VA")
def mmpose_instances(out, tracks):
    for track, values in tracks.items():
        entries = [
            {"frame_id": k, "instances": [{"scores": row, "bbox": [1, 2, 3, 4]}]}
            for k, row in enumerate(values.tolist(), 1)
        ]
        (out / f"{track}.json").write_text(json.dumps({"meta_info": {"x": "y"}, "instance_info": entries}))


@layout("VA")
def a_row_an_output(out, tracks):
    table = whole(tracks).melt(id_vars=["video", "frame"], var_name="output", value_name="score")
    table.sample(frac=1, random_state=0).to_csv(out / "long.csv", index=False)


@layout("AU")
def a_row_an_action_unit(out, tracks):
    table = whole(tracks, [f"AU{int(n):02d}" for n in AUS]).melt(id_vars=["video", "frame"])
    table.to_csv(out / "long.csv", index=False)


@layout("VA")
def gzipped_by_pandas(out, tracks):
    whole(tracks).to_csv(out / "scores.csv.gz", index=False)


@layout("VA")
def a_gzipped_file_a_track(out, tracks):
    for track, table in frames(tracks, ["valence", "arousal"]):
        table.to_csv(out / f"{track}.csv.gz", index=False)


@layout("VA")
def bzip2(out, tracks):
    whole(tracks).to_csv(out / "scores.csv.bz2", index=False)


@layout("VA")
def a_json_an_output(out, tracks):
    for k, name in enumerate(("valence", "arousal")):
        (out / f"{name}.json").write_text(json.dumps({t: v[:, k].tolist() for t, v in tracks.items()}))


@layout("VA")
def a_folder_an_output(out, tracks):
    for k, name in enumerate(("valence", "arousal")):
        (out / name).mkdir()
        for track, values in tracks.items():
            np.savetxt(out / name / f"{track}.txt", values[:, k])


@layout("AU")
def a_csv_an_action_unit(out, tracks):
    table = whole(tracks, [f"AU{n}" for n in AUS])
    for n in AUS:
        one = table[["video", "frame", f"AU{n}"]].rename(columns={f"AU{n}": "prob"})
        one.to_csv(out / f"AU{n}.csv", index=False)


@layout("VA")
def lists_in_a_column(out, tracks):
    table = pd.DataFrame({"image": pictures(tracks), "pred": below(tracks).tolist()})
    table.to_csv(out / "scores.csv", index=False)


@layout("AU")
def pictures_and_an_array_beside(out, tracks):
    np.save(out / "pred.npy", below(tracks))
    (out / "list.txt").write_text("\n".join(pictures(tracks)) + "\n")


@layout("VA")
def flat_names_without_a_suffix(out, tracks):
    names = [f"{t}_{k:05d}" for t, values in tracks.items() for k in range(1, len(values) + 1)]
    rows = zip(names, below(tracks).tolist(), strict=True)
    (out / "scores.txt").write_text("".join(f"{name} {v} {a}\n" for name, (v, a) in rows))


@layout("VA")
def batches_of_a_loader(out, tracks):
    found = [{"name": pictures({t: values}), "pred": values} for t, values in tracks.items()]
    (out / "scores.pkl").write_bytes(pickle.dumps(found))


@layout("VA")
def pairs_of_name_and_array(out, tracks):
    (out / "scores.pkl").write_bytes(pickle.dumps(list(tracks.items())))


@layout("VA")
def results_beside_the_config(out, tracks):
    named = {t: {"valence": v[:, 0].tolist(), "arousal": v[:, 1].tolist()} for t, v in tracks.items()}
    (out / "scores.json").write_text(json.dumps({"config": {"lr": 1e-3, "seed": 1}, "results": named}))


def made(name, tmp_path):
    task, options, write = LAYOUTS[name]
    tracks, out = scores_of(task), tmp_path / "mine"
    out.mkdir()
    write(out, tracks)
    source = next(out.iterdir()) if len(list(out.iterdir())) == 1 else out
    return source, TASKS[task], Options(**options), tracks


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("name", LAYOUTS)
def test_the_same_scores_come_out(tmp_path, name, known):
    source, task, options, tracks = made(name, tmp_path)
    expected = Expected(ROWS, "template", True) if known else None
    found = understand(source, task, options, expected)
    assert sorted(found.tracks) == sorted(tracks)
    for track, values in tracks.items():
        np.testing.assert_allclose(found.tracks[track], values, atol=2e-7, err_msg=track)


def refused(source, task, message, **options):
    source = Path(source)
    with pytest.raises(UserError, match=message) as error:
        understand(source, TASKS[task], Options(**options), Expected(ROWS, "template", True))
    assert str(error.value).count("\n") < 3


def test_an_output_that_comes_twice_or_not_at_all_is_refused(tmp_path):
    table = whole(scores_of("VA")).melt(id_vars=["video", "frame"])
    pd.concat([table, table[:1]]).to_csv(tmp_path / "twice.csv", index=False)
    refused(tmp_path / "twice.csv", "VA", "valence comes twice for its frame")
    table[1:].to_csv(tmp_path / "gap.csv", index=False)
    refused(tmp_path / "gap.csv", "VA", "NaN beside numbers")


def test_a_class_name_and_its_probability_a_frame_are_labels_not_a_row_an_output(tmp_path):
    names = pictures({"102": np.zeros((23, 1))})
    table = pd.DataFrame({"image": names, "label": [EMOTIONS[k % 8] for k in range(23)], "score": 0.7})
    table.to_csv(tmp_path / "a.csv", index=False)
    found = understand(tmp_path / "a.csv", TASKS["EXPR"], Options())
    np.testing.assert_array_equal(found.tracks["102"].argmax(axis=1), np.arange(23) % 8)


def test_outputs_of_other_rows_are_not_put_side_by_side(tmp_path):
    out, tracks = tmp_path / "mine", scores_of("VA")
    out.mkdir()
    LAYOUTS["a_folder_an_output"][2](out, tracks)
    np.savetxt(out / "arousal" / "102.txt", tracks["102"][1:, 1])
    refused(out, "VA", r"arousal/102\.txt: other rows than .*valence/102\.txt")
    (out / "arousal" / "102.txt").unlink()
    refused(out, "VA", "there is no arousal for 102")


def test_two_faces_in_a_frame_are_counted(tmp_path):
    face = {"emotion": dict.fromkeys(EMOTIONS, 0.125)}
    (tmp_path / "102.json").write_text(json.dumps([[face]] * 20 + [[face, face]] + [[face]] * 2))
    refused(tmp_path / "102.json", "EXPR", "entry 21: 2 faces; expected one a frame")


def test_seven_emotions_are_told_what_to_add(tmp_path):
    pd.DataFrame(np.full((23, 7), 1 / 7), columns=EMOTIONS[:7]).to_csv(tmp_path / "102.csv", index=False)
    refused(tmp_path / "102.csv", "EXPR", "Add a column Other")


def test_cells_of_other_lengths_are_refused(tmp_path):
    (tmp_path / "a.csv").write_text('image,pred\n102/00001.jpg,"[0.1, 0.2]"\n102/00002.jpg,"[0.1]"\n')
    refused(tmp_path / "a.csv", "VA", r'line 3: 1 numbers in column "pred"; 2 in the first row')


def test_what_is_not_read_says_what_to_do(tmp_path):
    tracks = scores_of("VA")
    table = whole(tracks)
    (tmp_path / "a.md").write_text("| video | valence |\n|---|---:|\n| 102 | 0.1 |\n")
    refused(tmp_path / "a.md", "VA", "a table of Markdown. Save it as CSV")
    (tmp_path / "a.yaml").write_text("'102':\n  - [0.1, 0.2]\n")
    refused(tmp_path / "a.yaml", "VA", "save it as JSON, or as CSV")
    with sqlite3.connect(tmp_path / "a.db") as base:
        table.to_sql("scores", base, index=False)
    refused(tmp_path / "a.db", "VA", "to_csv")
    (tmp_path / "mine").mkdir()
    table.to_csv(tmp_path / "mine" / "a.csv", index=False)
    refused(shutil.make_archive(str(tmp_path / "a"), "zip", tmp_path, "mine"), "VA", "-m zipfile -e")
    refused(shutil.make_archive(str(tmp_path / "b"), "gztar", tmp_path, "mine"), "VA", "tar -xf b.tar.gz")


def test_a_damaged_or_too_big_gzip_file_is_refused(tmp_path, monkeypatch):
    text = whole(scores_of("VA")).to_csv(index=False).encode()
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(text)[:-30])
    refused(tmp_path / "a.csv.gz", "VA", "damaged gzip file")
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(text + b"102,0,0\n" * 10_000))
    monkeypatch.setattr("abaw_submit.allowance.FREE_BYTES", 10_000)
    refused(tmp_path / "b.csv.gz", "VA", "unpacks to more than")
