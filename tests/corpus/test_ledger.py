"""The ledger: what is written is read back, the bytes never change, gaps take the nearest row."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from abaw_submit.corpus.ledger import Ledger, nearest_found, read_ledger, write_ledger
from abaw_submit.errors import UserError


def make_ledger(found):
    found = np.asarray(found, bool)
    rows = len(found)
    return Ledger(
        row=np.arange(1, rows + 1),
        time_s=np.arange(rows) / 30,
        found=found,
        score=np.where(found, 0.9, 0.0),
        x=np.full(rows, 10.25),
        y=np.full(rows, 20.5),
        w=np.full(rows, 50.0),
        h=np.full(rows, 60.0),
        source=np.where(found, "detected", "nearest"),
    )


def test_round_trip_by_file_and_by_folder(tmp_path):
    ledger = make_ledger([1, 0, 1, 1])
    write_ledger(tmp_path / "10-60-1280x720_right", ledger)
    again = read_ledger(tmp_path / "10-60-1280x720_right" / "ledger.csv")
    assert again.row.tolist() == [1, 2, 3, 4]
    assert again.found.tolist() == [True, False, True, True]
    np.testing.assert_allclose(again.time_s, ledger.time_s, atol=1e-6)
    assert again.source.tolist() == ["detected", "nearest", "detected", "detected"]
    first = (tmp_path / "10-60-1280x720_right" / "ledger.csv").read_bytes()
    write_ledger(tmp_path / "again" / "ledger.csv", again)
    assert (tmp_path / "again" / "ledger.csv").read_bytes() == first


def test_text_is_fixed(tmp_path):
    write_ledger(tmp_path, make_ledger([1]))
    assert (tmp_path / "ledger.csv").read_text() == (
        "row,time_s,found,score,x,y,w,h,source\n1,0.000000,1,0.9000,10.25,20.50,50.00,60.00,detected\n"
    )


@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_nearest_found_agrees_with_a_search_over_all_rows(found):
    answer = nearest_found(found)
    for row, got in enumerate(answer):
        candidates = [(abs(row - other), other) for other, f in enumerate(found) if f]
        assert got == (min(candidates)[1] if candidates else -1)


def test_picture_rows_and_longest_gap():
    ledger = make_ledger([0, 0, 1, 0, 0, 0, 1])
    assert ledger.picture_rows().tolist() == [3, 3, 3, 3, 3, 7, 7]
    assert ledger.longest_gap() == 3
    empty = make_ledger([0, 0])
    assert empty.picture_rows().tolist() == [0, 0]
    assert empty.longest_gap() == 2


def test_a_damaged_line_is_named(tmp_path):
    write_ledger(tmp_path, make_ledger([1, 1]))
    text = (tmp_path / "ledger.csv").read_text().splitlines()
    (tmp_path / "ledger.csv").write_text("\n".join([text[0], text[2]]) + "\n")
    with pytest.raises(UserError, match="line 2"):
        read_ledger(tmp_path)
    with pytest.raises(UserError, match="No ledger"):
        read_ledger(tmp_path / "nowhere")
