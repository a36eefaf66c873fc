"""The tiny corpus is what the project's own readers take for an official one."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from abaw_submit.corpus.annotations import read_annotation, read_annotation_set
from abaw_submit.corpus.rows import official_rows
from abaw_submit.corpus.templates import read_template
from abaw_submit.corpus.testlists import read_track_list
from abaw_submit.corpus.tracks import find_video, list_videos, sibling_group
from abaw_submit.demo.clips import TINY
from abaw_submit.demo.corpus import template_text, write_corpus
from abaw_submit.errors import UserError
from abaw_submit.store import read_record
from abaw_submit.tasks import AU, EXPR, TASKS, VA, Task

TEMPLATE = {"VA": "VA", "EXPR": "Expr", "AU": "AU"}
LIST = {
    "VA": "Valence_Arousal_Estimation",
    "EXPR": "Expression_Recognition",
    "AU": "Action_Unit_Detection",
}
each_task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)


def label_files(root: Path) -> dict[str, bytes]:
    """Every text file of a corpus but the record, by name."""
    files = sorted(p for suffix in ("txt", "csv") for p in root.rglob(f"*.{suffix}"))
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in files}


@each_task
def test_annotations_are_read(tiny: Path, task: Task) -> None:
    annotations = read_annotation_set(tiny / "annotations", task)
    planned = {
        clip.track_name(track): clip.frames + track.extra_rows
        for clip in TINY
        for track in clip.tracks
        if track.subset(task) in ("Train_Set", "Validation_Set")
    }
    assert {name: a.rows for name, a in annotations.items()} == planned
    assert {a.subset for a in annotations.values()} == {"train", "validation"}
    assert len({sibling_group(name) for name in annotations}) >= 3  # so that three folds work


@each_task
def test_some_rows_are_invalid_and_most_are_not(tiny: Path, task: Task) -> None:
    valid = np.concatenate([a.valid for a in read_annotation_set(tiny / "annotations", task).values()])
    assert 0.5 < valid.mean() < 1


def test_an_invalid_au_row_may_have_valid_columns(tiny: Path) -> None:
    rows = [a.values[~a.valid] for a in read_annotation_set(tiny / "annotations", AU).values()]
    invalid = np.concatenate(rows)
    assert (invalid == -1).any(axis=1).all()
    assert (invalid != -1).any()


@each_task
def test_templates_and_lists_agree(tiny: Path, task: Task) -> None:
    base = tiny / "test_sets"
    sample = read_template(base / f"CVPR_6th_ABAW_{TEMPLATE[task.name]}_test_set_sample.txt")
    example = read_template(base / f"CVPR_6th_ABAW_{TEMPLATE[task.name]}_test_set_example.txt")
    names = read_track_list(
        base / "names_of_videos_in_each_test_set" / f"{LIST[task.name]}_Challenge_test_set_release.txt"
    )
    assert list(sample.tracks.items()) == list(example.tracks.items())
    assert list(sample.tracks) == names
    assert len(names) >= 2
    hidden = tiny / "truth" / task.challenge_folder(6) / "Test_Set"
    truth = {p.stem: read_annotation(p, task).rows for p in hidden.glob("*.txt")}
    assert truth == sample.tracks


def test_a_blank_row_ends_in_a_comma_and_an_example_row_has_values() -> None:
    tracks = [("b", 2), ("a", 1)]
    assert template_text(VA, tracks, dummy=False).splitlines() == [
        "image_location,valence,arousal",
        "b/00001.jpg,",
        "b/00002.jpg,",
        "a/00001.jpg,",
    ]
    assert template_text(EXPR, tracks, dummy=True).splitlines()[1] == "b/00001.jpg,0"
    assert template_text(AU, tracks, dummy=True).splitlines()[3] == "a/00001.jpg,1,0,1,1,1,0,0,1,0,0,0,1"


def test_all_tasks_agree_on_row_counts_and_every_track_has_a_video(tiny: Path) -> None:
    rows = official_rows(tiny / "annotations")
    assert rows == {t: n for task in TASKS for t, n in official_rows(tiny / "annotations", task).items()}
    test = {p.stem for p in (tiny / "truth").rglob("Test_Set/*.txt")}
    used = {find_video(track, tiny / "videos") for track in {*rows, *test}}
    assert used == set(list_videos([tiny / "videos"]))


def test_same_seed_same_labels_for_any_number_of_jobs(tiny: Path, tmp_path: Path) -> None:
    write_corpus(tmp_path / "again", seed=0, size="tiny", jobs=2)
    assert label_files(tmp_path / "again") == label_files(tiny)
    first, second = read_record(tiny), read_record(tmp_path / "again")
    assert first is not None
    assert second is not None
    assert first["digest"] == second["digest"]  # here the videos and pictures are the same bytes too


def test_another_seed_gives_other_labels_of_the_same_tracks(tiny: Path, other: Path) -> None:
    ours, theirs = label_files(tiny), label_files(other)
    assert ours.keys() == theirs.keys()
    annotated = [name for name in ours if name.startswith("annotations/VA")]
    assert all(ours[name] != theirs[name] for name in annotated)


def test_what_is_there_is_not_made_again(tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "corpus"
    shutil.copytree(tiny, out)
    assert not write_corpus(out, seed=0, size="tiny")


def test_leftovers_of_an_older_corpus_are_removed(tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "corpus"
    shutil.copytree(tiny, out)
    shutil.copy(out / "videos" / "102.avi", out / "videos" / "video99.avi")
    (out / "record.json").unlink()  # as if killed while it was made
    assert write_corpus(out, seed=0, size="tiny", jobs=1)
    assert not (out / "videos" / "video99.avi").exists()
    assert label_files(out) == label_files(tiny)


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    precious = tmp_path / "videos" / "102.mp4"
    precious.parent.mkdir()
    precious.write_bytes(b"mine")
    with pytest.raises(UserError, match="is not a demo corpus"):
        write_corpus(tmp_path, size="tiny")
    assert precious.read_bytes() == b"mine"
    assert [p.name for p in tmp_path.iterdir()] == ["videos"]


def test_a_wrong_size_is_refused_with_the_right_ones(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Available: small, tiny"):
        write_corpus(tmp_path / "x", size="large")
    assert not (tmp_path / "x").exists()
