"""Windows tile the sound, and every row gets the vector at its time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abaw_submit.audio.align import SLACK_S, Aligner, windows
from abaw_submit.audio.sound import RATE_HZ, Block


def blocks_of(samples, sizes, start_s=0.0):
    at = 0
    for size in sizes:
        yield Block(start_s + at / RATE_HZ, samples[at : at + size])
        at += size


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 400), min_size=1, max_size=12),
    core=st.integers(1, 300),
    context=st.integers(0, 120),
)
def test_cores_tile_the_sound_and_have_their_context(sizes, core, context):
    samples = np.arange(sum(sizes), dtype=np.float32)
    found = list(windows(blocks_of(samples, sizes, start_s=2.0), core, context))
    assert [w.core[0] for w in found] == [k * core for k in range(len(found))]
    assert [w.core[1] for w in found[:-1]] == [w.core[0] for w in found[1:]]
    assert found[-1].core[1] == len(samples)
    assert [w.is_last for w in found] == [False] * (len(found) - 1) + [True]
    for w in found:
        begin, end = max(0, w.core[0] - context), min(len(samples), w.core[1] + context)
        assert w.first <= begin
        assert w.first + len(w.samples) >= end
        np.testing.assert_array_equal(w.samples, np.arange(w.first, w.first + len(w.samples)))
        assert w.time_of(w.first + 5) == pytest.approx(2.0 + (w.first + 5) / RATE_HZ)


def test_no_sound_has_no_window():
    assert list(windows([], 100, 10)) == []


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.floats(-1, 6), min_size=1, max_size=30),
    gaps=st.lists(st.floats(0.01, 0.5), min_size=1, max_size=20),
    cuts=st.lists(st.integers(0, 20), max_size=4),
)
def test_rows_are_interpolated_in_time_however_the_stream_is_cut(rows, gaps, cuts):
    """numpy's interp over the whole stream is the oracle."""
    times = np.cumsum(gaps)
    vectors = np.stack([np.sin(times), times], axis=1).astype(np.float32)
    aligner = Aligner(rows, 2)
    for part in np.split(np.arange(len(times)), sorted(min(c, len(times)) for c in cuts)):
        aligner.add(times[part], vectors[part])
    valid = aligner.finish(0.0, times[-1])
    expected = np.stack([np.interp(rows, times, vectors[:, d]) for d in (0, 1)], axis=1)
    np.testing.assert_allclose(aligner.values[valid], expected[valid], atol=5e-3)
    assert (aligner.values[~valid] == 0).all()
    assert valid.tolist() == [(-SLACK_S <= r <= times[-1] + SLACK_S) for r in rows]


def test_without_vectors_no_row_is_valid():
    aligner = Aligner([0.0, 1.0], 3)
    aligner.add(np.zeros(0), np.zeros((0, 3), np.float32))
    assert aligner.finish(0.0, 5.0).tolist() == [False, False]


def test_sound_that_starts_late_leaves_the_first_rows_without():
    aligner = Aligner(np.arange(10) / 10, 1)
    aligner.add(np.array([0.42, 0.6]), np.array([[1.0], [2.0]], np.float32))
    valid = aligner.finish(0.4, 0.7)
    assert np.flatnonzero(valid).tolist() == [4, 5, 6, 7]
    assert aligner.values[[4, 6, 7], 0].tolist() == [1.0, 2.0, 2.0]  # held beyond the first and last vector
