"""The fast reader of numbers against Python's `float`."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from abaw_submit.corpus.lines import lines_of, read_lines
from abaw_submit.corpus.numbers import parse_table
from abaw_submit.errors import UserError

plain = st.from_regex(r"-?[0-9]{1,3}(\.[0-9]{0,9})?", fullmatch=True)
anything = st.text(st.sampled_from("0123456789.-+eE xn"), max_size=12)


def parse(rows, columns):
    lines = lines_of("\n".join(",".join(row) for row in rows).encode(), "t")
    return parse_table(lines, lines.starts, lines.ends, columns)


@given(st.lists(st.tuples(plain, plain, plain), min_size=1, max_size=30))
def test_plain_decimals_read_exactly_as_float(rows):
    values, fine = parse(rows, 3)
    assert fine.all()
    np.testing.assert_array_equal(values, [[float(field) for field in row] for row in rows])


@given(st.lists(st.lists(anything, min_size=1, max_size=3), min_size=1, max_size=20))
def test_what_is_not_plain_is_left_to_the_caller_and_what_is_read_is_right(rows):
    values, fine = parse([*rows, ["0.5", "1"]], 2)
    for row, read, ok in zip(rows, values, fine, strict=False):
        if ok:
            assert read.tolist() == [float(field) for field in row]
        else:
            assert np.isnan(read).all()
    assert fine[-1]


@given(st.lists(st.floats(-1, 1).map(lambda x: f"{x:.17f}"), min_size=1, max_size=20))
def test_17_decimals_read_to_one_unit_in_the_last_place(texts):
    values, fine = parse([[text] for text in texts], 1)
    assert fine.all()
    expected = np.array([float(text) for text in texts])
    assert (np.abs(values[:, 0] - expected) <= np.spacing(np.abs(expected))).all()


def test_long_junk():
    _, fine = parse([["0.1234567890123456789"], ["9" * 30], ["-"], ["."], ["--1"], ["1.2.3"], [""]], 1)
    assert not fine.any()


@given(st.lists(st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=5)))
def test_lines_are_those_of_splitlines(texts):
    for end in ("\n", "\r\n"):
        data = "".join(text + end for text in texts).encode()
        if data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
            continue
        lines = lines_of(data, "t")
        assert [lines[i].decode() for i in range(len(lines))] == texts
        assert lines.carriage_returns == (len(texts) if end == "\r\n" else 0)


def test_lines_without_final_newline_and_with_a_byte_order_mark(tmp_path):
    path = tmp_path / "t.txt"
    path.write_bytes(b"\xef\xbb\xbfa\nb")
    lines = read_lines(path)
    assert [lines[0], lines[1], lines.bom, lines.final_newline] == [b"a", b"b", True, False]
    path.write_bytes(b"")
    assert len(read_lines(path)) == 0
    with pytest.raises(UserError, match="No file"):
        read_lines(tmp_path / "none")
