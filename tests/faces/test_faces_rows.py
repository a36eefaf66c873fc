"""Official rows: one ledger line each, whatever the video has."""

import numpy as np

from abaw_submit.faces.follow import Tracklet
from abaw_submit.faces.rows import fill_rows


def tracklet(first, rows, x=10.0, number=0):
    faces = [np.array([x, 20, 30, 40, *[0] * 10, 0.9], np.float32) for _ in range(rows)]
    spool = [(100 * (first + k), 7) for k in range(rows)]
    looked, missed = [k % 2 == 0 for k in range(rows)], [False] * rows
    return Tracklet(number, first, faces, looked, missed, list(map(np.float64, faces)), spool)


TIMES = [k / 25 for k in range(10)]


def test_gaps_take_the_nearest_row_and_say_so():
    filled = fill_rows([tracklet(3, 2), tracklet(8, 1, x=50)], TIMES, 25)
    ledger = filled.ledger
    assert ledger.row.tolist() == list(range(1, 11))
    assert ledger.found.tolist() == [False, False, True, True, False, False, False, True, False, False]
    assert ledger.source.tolist() == [
        *["nearest"] * 2, "detected", "tracked", *["nearest"] * 3, "detected", *["nearest"] * 2
    ]  # fmt: skip
    assert ledger.picture_rows().tolist() == [3, 3, 3, 4, 4, 4, 8, 8, 8, 8]
    assert ledger.x.tolist() == [10] * 6 + [50] * 4
    assert (ledger.score > 0).tolist() == ledger.found.tolist()
    assert filled.spool == {3: (300, 7), 4: (400, 7), 8: (800, 7)}


def test_more_official_rows_than_frames_are_filled_and_the_clock_goes_on():
    ledger = fill_rows([tracklet(1, 10)], TIMES, 25, rows=12).ledger
    assert len(ledger) == 12
    assert ledger.source.tolist()[-2:] == ["nearest", "nearest"]
    np.testing.assert_allclose(ledger.time_s, [k / 25 for k in range(12)])


def test_fewer_official_rows_than_frames_are_cut():
    filled = fill_rows([tracklet(1, 10)], TIMES, 25, rows=7)
    assert len(filled.ledger) == 7
    assert max(filled.spool) == 7


def test_a_track_with_no_face_says_none_in_every_row():
    ledger = fill_rows([], TIMES, 25).ledger
    assert set(ledger.source.tolist()) == {"none"}
    assert not ledger.found.any()
    assert ledger.picture_rows().tolist() == [0] * 10


def test_two_claims_to_a_row_go_to_the_first_and_hidden_rows_to_nobody():
    hidden = np.zeros(10, bool)
    hidden[4] = True
    filled = fill_rows([tracklet(1, 6), tracklet(5, 6, x=50)], TIMES, 25, hidden=hidden)
    assert filled.ledger.x.tolist() == [10] * 6 + [50] * 4
    assert filled.ledger.found.tolist() == [True] * 4 + [False] + [True] * 5


def test_a_row_where_the_person_is_gone_after_all_is_not_found():
    face = tracklet(1, 10)
    face.spool[3] = None
    assert fill_rows([face], TIMES, 25).ledger.source[3] == "nearest"
