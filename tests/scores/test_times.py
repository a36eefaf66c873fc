"""Times beside scores without frame numbers: rows that are not in order are never taken as if they were."""

import numpy as np
import pytest

from abaw_submit.errors import UserError
from abaw_submit.scores.sniff.assemble import Expected
from abaw_submit.scores.sniff.table import Options
from abaw_submit.scores.sniff.understand import understand
from abaw_submit.tasks import AU, EXPR, VA

ROWS = 40
SCORES = np.linspace(-0.9, 0.9, 2 * ROWS).reshape(ROWS, 2)


def written(path, times, scores=SCORES, track="102"):
    lines = [f"{track}.mp4,{t},{v},{a}\n" for t, (v, a) in zip(times, scores, strict=True)]
    path.write_text("filename,timestamp,pred_v,pred_a\n" + "".join(lines))
    return path


def read(path, rows=ROWS):
    return understand(path, VA, Options(), Expected({"102": rows}, "TEMPLATE", True))


def test_rising_times_say_that_the_order_stands(tmp_path):
    found = read(written(tmp_path / "a.csv", [f"{k / 30:.3f}" for k in range(ROWS)]))
    np.testing.assert_allclose(found.tracks["102"], SCORES, atol=1e-6)
    assert "times rise from row to row in 1 of 1 tracks: the rows are in order" in found.notes


def test_shuffled_rows_are_refused_though_their_number_fits(tmp_path):
    order = np.random.default_rng(0).permutation(ROWS)
    path = written(tmp_path / "a.csv", order / 30, SCORES[order])
    with pytest.raises(UserError, match="Sort the rows by time"):
        read(path)


def test_a_dropped_row_made_up_for_by_a_double_one_is_refused(tmp_path):
    kept = [*range(10), *range(11, ROWS), ROWS - 1]
    path = written(tmp_path / "a.csv", np.array(kept) / 30, SCORES[kept])
    with pytest.raises(UserError, match=r"time 1\.3 after 1\.3 \(row 40\)"):
        read(path)


def test_times_rounded_to_tenths_are_shared_by_rows_and_fine(tmp_path):
    found = read(written(tmp_path / "a.csv", [f"{k / 30:.1f}" for k in range(ROWS)]))
    assert len(found.tracks["102"]) == ROWS


def test_a_leap_is_the_videos_own_where_the_count_fits_and_a_missing_row_elsewhere(tmp_path):
    times = np.arange(ROWS) / 30 + (np.arange(ROWS) > 20)
    path = written(tmp_path / "a.csv", times)
    assert len(read(path).tracks["102"]) == ROWS
    with pytest.raises(UserError, match="rows are missing"):
        understand(path, VA, Options())


def test_times_of_day_are_read_and_other_text_is_said_to_be_unused(tmp_path):
    clock = [f"00:00:{k / 30:06.3f}" for k in range(ROWS)]
    assert any("times rise" in note for note in read(written(tmp_path / "a.csv", clock)).notes)
    with pytest.raises(UserError, match="expected ascending times"):
        read(written(tmp_path / "b.csv", clock[::-1]))
    words = [f"about {k}" for k in range(ROWS)]
    assert 'not used: time ("timestamp")' in read(written(tmp_path / "c.csv", words)).notes


def test_intensities_of_openface_become_fifths(tmp_path):
    values = np.random.default_rng(1).uniform(0, 5, (ROWS, 12))
    head = ",".join(f"AU{c[2:]:0>2}_r" for c in AU.columns)
    lines = "".join(",".join(f"{v:.4f}" for v in row) + "\n" for row in values)
    (tmp_path / "102.csv").write_text(f"{head}\n{lines}")
    found = understand(tmp_path / "102.csv", AU, Options(intensity=True))
    np.testing.assert_allclose(found.tracks["102"], values / 5, atol=1e-4)
    assert "intensities were divided by 5" in found.notes
    with pytest.raises(UserError, match="add --intensity"):
        understand(tmp_path / "102.csv", AU, Options())
    with pytest.raises(UserError, match="exclude each other"):
        understand(tmp_path / "102.csv", AU, Options(intensity=True, percent=True))


def test_scores_of_another_task_are_called_by_its_name(tmp_path):
    path = written(tmp_path / "a.csv", range(ROWS))
    with pytest.raises(UserError, match="They are VA's: --task VA"):
        understand(path, EXPR, Options())
