"""Multi-task labels: lists and single-task files become one table per track; what is missing is marked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from abaw_submit.corpus.mtl import read_mtl, write_mtl
from abaw_submit.corpus.multitask import list_lines, part_of, read_multitask
from abaw_submit.errors import UserError
from abaw_submit.tasks import AU, EXPR, MTL, VA

AUS = ",".join("0" * 12)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """VA knows tracks a and b, EXPR a (one row more) and c, AU nobody but b."""
    write(tmp_path, VA, "Train_Set", "a", ["0.5,-0.5", "-5,-5", "0,0.25"])
    write(tmp_path, VA, "Train_Set", "b", ["0.1,0.1"])
    write(tmp_path, EXPR, "Train_Set", "a", ["4", "-1", "-1", "6"])
    write(tmp_path, EXPR, "Validation_Set", "c", ["1", "0"])
    write(tmp_path, AU, "Validation_Set", "b", [AUS.replace("0", "1", 1)])
    return tmp_path


def write(root: Path, task: object, subset: str, track: str, rows: list[str]) -> None:
    folder = root / task.challenge_folder() / subset  # type: ignore[attr-defined]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{track}.txt").write_text("\n".join([task.header(), *rows]) + "\n")  # type: ignore[attr-defined]


def test_the_union_of_the_tasks_marks_what_each_does_not_know(root: Path) -> None:
    read = read_multitask(root)
    assert list(read) == ["a", "b", "c"]
    assert read["a"].valid.tolist() == [
        [True, True, False], [False, False, False], [True, False, False], [False, True, False],
    ]  # fmt: skip
    np.testing.assert_allclose(
        read["a"].values[:, :3], [[0.5, -0.5, 4], [-5, -5, -1], [0, 0.25, -1], [-5, -5, 6]]
    )
    assert read["b"].valid.tolist() == [[True, False, True]]
    assert [a.subset for a in read.values()] == ["train", "validation", "validation"]
    assert part_of(read["b"], 2).values.tolist() == [[1.0] + [0.0] * 11]
    assert part_of(read["c"], 0).valid.tolist() == [False, False]


def test_a_list_written_from_the_union_reads_back_as_the_same_labels(root: Path) -> None:
    read = read_multitask(root)
    assert write_mtl(root / "mtl.txt", list_lines(read)) == 6  # the row of a that nobody labels is not there
    again = read_multitask(root / "mtl.txt")
    for track, annotation in again.items():
        rows = len(annotation.values)
        assert np.array_equal(annotation.valid, read[track].valid[:rows])
        assert np.array_equal(annotation.values, read[track].values[:rows])
        assert not read[track].valid[rows:].any()
    write_mtl(root / "blank.txt", list_lines(read, step=2, with_values=False))
    assert read_mtl(root / "blank.txt").locations == [("a", 1), ("a", 4), ("b", 1), ("c", 1)]
    with pytest.raises(UserError, match="no annotations"):
        read_multitask(root / "blank.txt")


def test_the_official_pair_of_lists_has_subsets_and_no_track_in_both(tmp_path: Path) -> None:
    line = f"/00002.jpg,0,0,1,{AUS}\n"
    (tmp_path / "training_set_annotations.txt").write_text(f"image,x\na{line}a{line}")
    (tmp_path / "validation_set_annotations.txt").write_text(f"image,x\nb{line}")
    read = read_multitask(tmp_path)
    assert {t: (a.subset, a.valid.any(1).tolist()) for t, a in read.items()} == {
        "a": ("train", [False, True]),
        "b": ("validation", [False, True]),
    }
    assert read["a"].task is MTL
    (tmp_path / "validation_set_annotations.txt").write_text(f"image,x\na{line}")
    with pytest.raises(UserError, match="a is in training_set_annotations"):
        read_multitask(tmp_path)
