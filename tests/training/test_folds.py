"""Folds: siblings stay together, nobody is lost, and the leaks of published pipelines do not come back."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abaw_submit.corpus.annotations import Annotation
from abaw_submit.errors import UserError
from abaw_submit.tasks import AU, EXPR, VA
from abaw_submit.training.balance import label_counts
from abaw_submit.training.folds import make_splits, read_splits, source_hash, write_splits
from abaw_submit.training.splitcheck import find_problems

# names as in the official lists, with the awkward ones of docs/reference/formats.md
NAMES = [
    "102",
    "102-30-640x360",
    "108",
    "10-60-1280x720",
    "10-60-1280x720_right",
    "135-24-1920x1080_left",
    "135-24-1920x1080_right",
    "6-30-1920x1080_left",
    "6-30-1920x1080_right",
    "24-30-1920x1080-1",
    "24-30-1920x1080-2",
    "video2",
    "video2_left",
    "video45_1",
    "video59",
    "video59_right",
    "2-30-640x360",
    "40-30-1280x720",
    "31-30-1920x1080",
    "118-30-640x480",
    "201",
    "202",
    "203",
    "204",
    "205",
]


def annotation(track, task=EXPR, rows=60, subset="train", seed=None):
    rng = np.random.default_rng(len(track) + rows if seed is None else seed)
    if task is VA:
        values = rng.uniform(-1, 1, (rows, 2))
    else:
        values = rng.integers(0, 8 if task is EXPR else 2, (rows, task.label_columns))
    valid = rng.random(rows) > 0.2
    return Annotation(track, task, values.astype(np.float32), valid, subset, None)


def corpus(names=NAMES, task=EXPR, validation=()):
    return {
        name: annotation(name, task, 40 + 11 * i, "validation" if name in validation else "train", seed=i)
        for i, name in enumerate(names)
    }


def cross_folds(splits):
    return [fold for fold in splits.folds if fold.name != "official"]


def fold_of(splits, track):
    return next(fold.name for fold in cross_folds(splits) if track in fold.validation)


class TestCrossValidation:
    @pytest.mark.parametrize("task", [AU, EXPR, VA], ids=lambda t: t.name)
    def test_every_track_is_validated_once_and_the_checker_agrees(self, task):
        tracks = corpus(task=task)
        splits = make_splits(tracks, task, folds=5)
        assert [fold.name for fold in splits.folds] == ["0", "1", "2", "3", "4"]
        assert sorted(t for fold in splits.folds for t in fold.validation) == sorted(tracks)
        for fold in splits.folds:
            assert sorted(fold.train + fold.validation) == sorted(tracks)
        assert find_problems(splits, tracks) == []

    @pytest.mark.parametrize(
        "siblings",
        [
            ("135-24-1920x1080_left", "135-24-1920x1080_right"),
            ("10-60-1280x720", "10-60-1280x720_right"),
            ("video2", "video2_left"),
            ("24-30-1920x1080-1", "24-30-1920x1080-2"),
        ],
    )
    def test_left_right_and_parts_of_a_recording_stay_together(self, siblings):
        for seed in range(5):
            splits = make_splits(corpus(), EXPR, folds=5, seed=seed)
            assert len({fold_of(splits, track) for track in siblings}) == 1

    def test_a_name_inside_another_name_is_not_a_sibling(self):
        """108 is a substring of every ...1080 name, 102 and 102-30-640x360 are different videos."""
        together = [
            [
                fold_of(s, "102") == fold_of(s, "102-30-640x360"),
                fold_of(s, "108") == fold_of(s, "31-30-1920x1080"),
            ]
            for s in (make_splits(corpus(), EXPR, folds=5, seed=seed) for seed in range(12))
        ]
        assert not np.all(together, axis=0).any()

    def test_the_str_contains_folds_of_published_code_leak_and_the_checker_says_so(self):
        """Published folds take every track whose name CONTAINS a name of the other list."""
        tracks = corpus()
        splits = make_splits(tracks, EXPR, folds=5)
        fold = splits.fold(fold_of(splits, "31-30-1920x1080"))
        published = [t for t in tracks if any(name in t for name in ["108", "102"])]
        assert {"31-30-1920x1080", "102-30-640x360"} <= set(published)  # what the bug drags in
        fold.train[:] = sorted({*fold.train, *published})
        found = find_problems(splits, tracks)
        assert f"fold {fold.name}: 31-30-1920x1080 in training and in validation" in found

    @settings(max_examples=15, deadline=None)
    @given(order=st.permutations(NAMES), seed=st.integers(0, 3))
    def test_the_order_of_files_does_not_matter(self, order, seed):
        tracks = corpus()
        shuffled = {name: tracks[name] for name in order}
        assert make_splits(shuffled, EXPR, folds=3, seed=seed) == make_splits(
            tracks, EXPR, folds=3, seed=seed
        )

    def test_rows_are_balanced(self):
        splits = make_splits(corpus(), EXPR, folds=5)
        rows = [b["rows"] for b in splits.balance.values()]
        assert max(rows) < 1.25 * min(rows)

    def test_more_folds_than_recordings_is_refused(self):
        with pytest.raises(UserError, match="4 folds of 2 recordings"):
            make_splits(corpus(["a_left", "a_right", "b"]), EXPR, folds=4)


class TestOfficialFold:
    VALIDATION = ("135-24-1920x1080_right", "6-30-1920x1080_left", "204", "205", "102")

    def test_the_published_leak_is_removed_and_listed(self):
        """135-24-1920x1080 and 6-30-1920x1080 lie across train and validation in the official data."""
        tracks = corpus(validation=self.VALIDATION)
        splits = make_splits(tracks, EXPR, folds=5)
        official = splits.fold("official")
        assert official.validation == sorted(self.VALIDATION)
        assert not {"135-24-1920x1080_left", "6-30-1920x1080_right"} & set(official.train)
        assert "102-30-640x360" in official.train  # another video than 102
        assert len(official.train) == len(NAMES) - len(self.VALIDATION) - 2
        assert [(leak.where, leak.train, leak.held_out) for leak in splits.leaks] == [
            ("official", ["135-24-1920x1080_left"], ["135-24-1920x1080_right"]),
            ("official", ["6-30-1920x1080_right"], ["6-30-1920x1080_left"]),
        ]
        assert find_problems(splits, tracks) == []

    def test_without_subsets_there_is_none(self):
        assert "official" not in [f.name for f in make_splits(corpus(), EXPR, folds=2).folds]
        tracks = corpus(validation=self.VALIDATION)
        assert len(make_splits(tracks, EXPR, folds=2, official=False).folds) == 2


class TestTestTracks:
    def test_a_sibling_of_a_test_track_is_found_and_can_be_left_out(self):
        """Of video49 one person is annotated and the other one is in the test set."""
        tracks = corpus((*NAMES, "video49_left"))
        problems = find_problems(make_splits(tracks, EXPR, folds=5), tracks, ["video49_right", "108_left"])
        assert any("video49_right: sibling video49_left is in training of folds" in p for p in problems)
        assert any("108_left: sibling 108 is in training" in p for p in problems)
        assert len(problems) == 2

        splits = make_splits(tracks, EXPR, folds=5, test=["video49_right"])
        assert find_problems(splits, tracks, ["video49_right"]) == []
        assert "video49_left" not in splits.tracks
        assert splits.leaks[0].where == "test"

    def test_a_test_track_in_training_is_found(self):
        tracks = corpus()
        problems = find_problems(make_splits(tracks, EXPR, folds=2), tracks, ["108"])
        assert len(problems) == 1
        assert "test track 108 is in training of folds" in problems[0]


class TestChecker:
    def problems(self, change, **more):
        splits = make_splits(corpus(validation=TestOfficialFold.VALIDATION), EXPR, folds=5)
        change(splits)
        return find_problems(splits, corpus(validation=TestOfficialFold.VALIDATION), **more)

    def test_sibling_moved_across(self):
        def change(splits):
            fold = splits.fold(fold_of(splits, "video2"))
            fold.validation.remove("video2_left")
            fold.train.append("video2_left")

        found = self.problems(change)
        assert any("siblings: video2_left in training, video2 in validation" in line for line in found)
        assert "video2_left: in validation of 0 folds, expected 1" in found

    def test_track_lost_from_one_fold_or_all(self):
        assert "fold 0: 108 missing" in self.problems(lambda s: drop(s.fold(0), "108"))
        found = self.problems(lambda s: [drop(fold, "108") for fold in s.folds])
        assert {"108: annotated, but in no fold", "fold official: 108 missing"} <= set(found)

    def test_track_twice(self):
        found = self.problems(lambda s: s.fold(1).train.append(s.fold(1).train[0]))
        assert len(found) == 1
        assert "twice in training" in found[0]

    def test_unknown_track_and_empty_part(self):
        assert "ghost: in the folds, but not annotated" in self.problems(
            lambda s: s.fold("official").train.append("ghost")
        )
        assert "fold 3: no validation tracks" in self.problems(lambda s: s.fold(3).validation.clear())

    def test_changed_labels(self):
        tracks = corpus()
        splits = make_splits(tracks, EXPR, folds=2)
        tracks["108"] = annotation("108", rows=len(tracks["108"].valid), seed=99)
        assert find_problems(splits, tracks) == [
            "the annotations are not the ones the folds were made from (labels or tracks differ)"
        ]


def drop(fold, track):
    for part in (fold.train, fold.validation):
        if track in part:
            part.remove(track)


class TestFile:
    def test_reads_back_as_written_with_the_same_bytes(self, tmp_path):
        splits = make_splits(corpus(validation=TestOfficialFold.VALIDATION), EXPR, folds=3, seed=7)
        write_splits(tmp_path / "a.json", splits)
        write_splits(tmp_path / "b.json", read_splits(tmp_path / "a.json"))
        assert read_splits(tmp_path / "a.json") == splits
        assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
        data = json.loads((tmp_path / "a.json").read_text())
        assert {"schema", "seed", "grouping", "source", "folds", "leaks", "task"} <= set(data)

    def test_unknown_fold(self):
        with pytest.raises(UserError, match='No fold "7"'):
            make_splits(corpus(), EXPR, folds=2).fold(7)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("{", "is not JSON"),
            ("[]", "not a splits file"),
            ('{"schema": 9}', "found: 9"),
            ('{"schema": 1, "task": "VA"}', "missing required field seed"),
            (
                '{"schema": 1, "folds": [{"name": "0", "train": "a", "validation": []}],'
                ' "task": "VA", "seed": 0, "source": "x"}',
                r"Expected array, got str - at \$\.folds\[0\]\.train",
            ),
        ],
    )
    def test_other_files_are_refused(self, tmp_path, text, message):
        (tmp_path / "s.json").write_text(text)
        with pytest.raises(UserError, match=message):
            read_splits(tmp_path / "s.json")

    def test_missing(self, tmp_path):
        with pytest.raises(UserError, match="No splits at"):
            read_splits(tmp_path / "s.json")


def test_source_hash_knows_labels_rows_and_subset_only():
    tracks = corpus()
    assert source_hash(dict(reversed(tracks.items()))) == source_hash(tracks)
    for other in (
        annotation("108", rows=61),
        annotation("108", seed=5),
        annotation("108", subset="validation"),
    ):
        assert source_hash({**tracks, "108": other}) != source_hash({**tracks, "108": annotation("108")})


def test_label_counts_of_each_task():
    valid = np.array([True, True, True, False])
    au = np.zeros((4, 12), np.float32)
    au[:3, 4] = 1
    au[0, 0] = au[3, 1] = 1  # row 4 is not valid
    counts = label_counts(Annotation("t", AU, au, valid, None, None), AU)
    assert counts.tolist() == [1, 4, 3, 1, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]
    expr = np.array([[7], [0], [7], [-1]], np.float32)
    counts = label_counts(Annotation("t", EXPR, expr, valid, None, None), EXPR)
    assert counts.tolist() == [1, 4, 3, 1, 0, 0, 0, 0, 0, 0, 2]
    va = np.array([[-1, 1], [0, 0.9], [0.99, 1], [-5, -5]], np.float32)
    counts = label_counts(Annotation("t", VA, va, valid, None, None), VA)
    assert counts.tolist() == [1, 4, 3, 1, 0, 1, 0, 1, 0, 0, 0, 0, 3]
