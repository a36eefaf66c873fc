"""Where a track's lines begin and end: right lines are taken at once, and nothing else is."""

import numpy as np
import pytest

from abaw_submit.corpus.lines import lines_of
from abaw_submit.corpus.mtl import read_mtl, write_mtl
from abaw_submit.corpus.numbers import parse_table
from abaw_submit.corpus.templates import has_locations
from abaw_submit.corpus.tracks import odd_name
from abaw_submit.errors import UserError

THREE = ["a/00001.jpg,", "a/00002.jpg,", "a/00003.jpg,"]


def lines(rows):
    return lines_of("\n".join(rows).encode(), "t")


@pytest.mark.parametrize(("rows", "right"), [(3, True), (2, True), (4, False)])
def test_as_many_rows_as_there_are(rows, right):
    assert has_locations(lines(THREE), 0, "a", rows) is right


@pytest.mark.parametrize(
    "wrong",
    ["a/00004.jpg,", "b/00002.jpg,", "a/0002.jpg,x", "a/00002.jpg", "a/00002.png,", ""],
)
def test_one_wrong_line_is_seen_wherever_it_stands(wrong):
    for at in range(3):
        rows = list(THREE)
        rows[at] = wrong
        assert not has_locations(lines(rows), 0, "a", 3)


def test_rows_are_counted_from_where_the_track_begins():
    both = lines(["b/00001.jpg,", *THREE])
    assert has_locations(both, 1, "a", 3)
    assert not has_locations(both, 0, "a", 3)
    assert not has_locations(both, 2, "a", 2)


@pytest.mark.parametrize("character", [*"/:;,- ", "1:", ":1", "1/", "0.:"])
def test_neighbours_of_the_digits_are_no_digits(character):
    digits = lines(["7", character, "0"])
    values, fine = parse_table(digits, digits.starts, digits.ends, 1)
    assert fine.tolist() == [True, False, True]
    assert values[[0, 2], 0].tolist() == [7.0, 0.0]
    assert np.isnan(values[1, 0])


def test_a_tail_of_spaces_and_empty_lines_is_left_out_and_an_inner_one_is_kept():
    assert len(lines(["a", "", "b", "  ", "", " ", ""]).without_blank_tail()) == 3
    assert len(lines([" ", "", "  "]).without_blank_tail()) == 0


@pytest.mark.parametrize("name", [" a", "a ", ".a", "-a", "a/b", 'a"', "a,b", "a\nb", "é" * 200])
def test_names_that_no_official_file_can_hold(name):
    assert "rename it" in odd_name(name)


def test_a_list_written_is_the_list_read(tmp_path):
    values = [0.5, -0.25, *map(float, [3, *[0, 1] * 6])]
    edge = [-5.0, -5.0, 7.0, *[-1.0] * 12]
    assert write_mtl(tmp_path / "list.txt", [("v", 1, values), ("v", 12, edge)]) == 2
    text = (tmp_path / "list.txt").read_text().splitlines()
    assert text[0] == "image,valence,arousal,expression,aus"
    assert text[2] == "v/00012.jpg,-5,-5,7," + ",".join(["-1"] * 12)
    read = read_mtl(tmp_path / "list.txt")
    assert read.locations == [("v", 1), ("v", 12)]
    np.testing.assert_array_equal(read.values, [values, edge])
    assert read.valid.tolist() == [[True] * 3, [False, True, False]]


def test_the_ends_of_the_scales_are_valid(tmp_path):
    write_mtl(tmp_path / "list.txt", [("v", 1, [1, -1, 0, *[0] * 12]), ("v", 2, [-1, -5, -1, *[1] * 11, -1])])
    assert read_mtl(tmp_path / "list.txt").valid.tolist() == [[True] * 3, [False] * 3]


@pytest.mark.parametrize(("column", "value"), [(2, 8), (2, -2), (2, 0.5), (3, 2), (14, -2), (1, -4)])
def test_values_out_of_range_in_a_list_are_refused(tmp_path, column, value):
    values = [0.5, -0.25, 3, *[0, 1] * 6]
    values[column] = value
    (tmp_path / "list.txt").write_text(
        f"image,valence,arousal,expression,aus\nv/00001.jpg,{','.join(map(str, values))}\n"
    )
    with pytest.raises(UserError, match="line 2"):
        read_mtl(tmp_path / "list.txt")
