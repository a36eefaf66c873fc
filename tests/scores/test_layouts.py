"""Every layout gives the same scores; with official row counts, and without."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from abaw_submit.scores.files import read_scores
from abaw_submit.scores.sniff.assemble import Expected
from abaw_submit.scores.sniff.show import understood_lines
from abaw_submit.scores.sniff.table import Options
from abaw_submit.scores.sniff.understand import understand
from abaw_submit.tasks import TASKS

_spec = importlib.util.spec_from_file_location("layouts", Path(__file__).with_name("layouts.py"))
layouts = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(layouts)
# no track has as many rows as a task has outputs, so a turned array is recognised
ROWS = {"102": 17, "video2_left": 15, "10-60-1280x720": 19}


def same(found, wanted):
    assert sorted(found) == sorted(wanted)
    for track, values in wanted.items():
        np.testing.assert_array_equal(found[track], values, err_msg=track)


@pytest.mark.parametrize("task", ["VA", "EXPR", "AU"])
@pytest.mark.parametrize("name", layouts.LAYOUTS)
def test_every_layout_gives_the_same_scores(tmp_path, name, task):
    tracks = layouts.make_scores(task, ROWS)
    source = layouts.LAYOUTS[name](tmp_path / "scores", tracks, task)
    found = understand(source, TASKS[task], Options())
    same(found.tracks, tracks)
    assert "NOT CHECKED" in found.checked
    found = understand(source, TASKS[task], Options(), Expected(ROWS, "template", True))
    same(found.tracks, tracks)
    assert "all 3 tracks fit template" in found.checked
    same(read_scores(source, task), tracks)
    text = "\n".join(understood_lines(found))
    assert "51 (15 to 19 a track)" in text
    assert f"{tracks['10-60-1280x720'][0, 0]:.4g}" in text  # the first row is shown


@pytest.mark.parametrize(
    "name", ["csv_per_video", "own_folder", "csv_other_order", "one_csv_locations", "r_quotes"]
)
def test_the_task_is_known_by_the_columns(tmp_path, name):
    for task in TASKS:
        tracks = layouts.make_scores(task, ROWS)
        source = layouts.LAYOUTS[name](tmp_path / task, tracks, task)
        assert read_scores(source).task.name == task


def test_float16_is_read_as_it_is(tmp_path):
    tracks = {t: v.astype(np.float16) for t, v in layouts.make_scores("AU", ROWS).items()}
    np.savez(tmp_path / "x.npz", **tracks)
    same(understand(tmp_path / "x.npz", TASKS["AU"], Options()).tracks, tracks)


def test_one_array_of_all_tracks_in_the_order_of_the_template(tmp_path):
    tracks = layouts.make_scores("VA", ROWS)
    np.save(tmp_path / "predictions.npy", np.concatenate(list(tracks.values())))
    found = understand(
        tmp_path / "predictions.npy", TASKS["VA"], Options(stacked=True), Expected(ROWS, "template", True)
    )
    same(found.tracks, tracks)


def test_hsemotion_entries_of_two_arrays(tmp_path):
    """{picture: (features, scores)}, the scores ten outputs, the last two valence and arousal."""
    import pickle

    tracks = layouts.make_scores("VA", ROWS)
    rng = np.random.default_rng(0)
    entries = {
        f"{track}/{k + 1:05d}.jpg": (rng.random(16), np.concatenate([rng.random(8), row]).astype(np.float32))
        for track, values in tracks.items()
        for k, row in enumerate(values)
    }
    (tmp_path / "x.pickle").write_bytes(pickle.dumps(entries))
    found = understand(tmp_path / "x.pickle", TASKS["VA"], Options(key="2", columns="9,10"))
    same(found.tracks, tracks)


@pytest.mark.parametrize("form", ["numbers", "names", "official", "own_per_track", "one_hot"])
def test_labels_are_read_and_said_to_be_labels(tmp_path, form):
    rng = np.random.default_rng(1)
    labels = {track: rng.integers(0, 8, count) for track, count in ROWS.items()}
    wanted = {track: np.eye(8, dtype=np.float32)[v] for track, v in labels.items()}
    expr = TASKS["EXPR"]
    out = tmp_path / "x"
    out.mkdir()
    if form == "official":
        lines = [f"{t}/{k + 1:05d}.jpg,{c}" for t, v in labels.items() for k, c in enumerate(v)]
        (out / "predictions.txt").write_text("\n".join([f"image_location,{expr.header()}", *lines]) + "\n")
    for track, values in labels.items():
        if form == "numbers":
            (out / f"{track}.csv").write_text(
                "frame,prediction\n" + "".join(f"{k},{c}\n" for k, c in enumerate(values))
            )
        elif form == "names":
            (out / f"{track}.csv").write_text("label\n" + "".join(f"{expr.columns[c]}\n" for c in values))
        elif form == "own_per_track":
            (out / f"{track}.txt").write_text(f"{expr.header()}\n" + "".join(f"{c}\n" for c in values))
        elif form == "one_hot":
            np.save(out / f"{track}.npy", wanted[track].astype(np.int8))
    found = understand(out, expr, Options())
    same(found.tracks, wanted)
    assert any("LABELS" in note for note in found.notes)


def test_au_predictions_of_this_tool(tmp_path):
    labels = {t: (v > 0.5).astype(np.float32) for t, v in layouts.make_scores("AU", ROWS).items()}
    lines = [
        f"{t}/{k + 1:05d}.jpg,{','.join(str(int(b)) for b in row)}"
        for t, v in labels.items()
        for k, row in enumerate(v)
    ]
    (tmp_path / "au.txt").write_text("\n".join([f"image_location,{TASKS['AU'].header()}", *lines]) + "\n")
    found = understand(tmp_path / "au.txt", TASKS["AU"], Options())
    same(found.tracks, labels)
    assert any("LABELS" in note for note in found.notes)


class TestNumbering:
    """Where a row goes."""

    def table(self, tmp_path, text):
        (tmp_path / "102.csv").write_text(text)
        return tmp_path / "102.csv"

    @pytest.mark.parametrize("first", [0, 1])
    def test_missing_frames_are_refused_or_filled_at_their_place(self, tmp_path, first):
        rows = [(0, 0.1, 0.2), (1, 0.3, 0.4), (4, 0.9, 1.0)]
        path = self.table(
            tmp_path, "frame,valence,arousal\n" + "".join(f"{k + first},{v},{a}\n" for k, v, a in rows)
        )
        if first == 1:  # a frame 0 may be missing too
            with pytest.raises(Exception, match="--first-frame 0 or --first-frame 1"):
                understand(path, TASKS["VA"], Options())
        with pytest.raises(Exception, match=r"102 lacks row 3, 4 of 5") as error:
            understand(path, TASKS["VA"], Options(), Expected({"102": 5}, "annotations"))
        assert "--missing nearest" in str(error.value)
        for how, wanted in (
            ("nan", [np.nan, np.nan]),
            ("line", [0.5, 0.7]),
            ("nearest", [0.3, 0.9]),
        ):
            options = Options(missing=how, first_frame=first)
            found = understand(path, TASKS["VA"], options).tracks["102"]
            np.testing.assert_allclose(found[2:4, 0], wanted, rtol=1e-6)
            np.testing.assert_allclose(found[[0, 1, 4], 0], [0.1, 0.3, 0.9], rtol=1e-6)

    def test_one_row_less_at_the_end(self, tmp_path):
        """What OpenCV counts: one row fewer than the annotations for two tracks of three."""
        path = self.table(tmp_path, "valence,arousal\n0.1,0.2\n0.3,0.4\n")
        expected = Expected({"102": 3}, "annotations")
        with pytest.raises(Exception, match=r"2 rows; expected 3.*\n.*--slack 1"):
            understand(path, TASKS["VA"], Options(), expected)
        found = understand(path, TASKS["VA"], Options(slack=1, missing="nearest"), expected)
        np.testing.assert_allclose(found.tracks["102"][:, 0], [0.1, 0.3, 0.3], rtol=1e-6)

    def test_the_official_counts_settle_where_counting_starts(self, tmp_path):
        path = self.table(tmp_path, "frame,valence,arousal\n2,0.1,0.2\n3,0.3,0.4\n")
        with pytest.raises(Exception, match="--first-frame 0 or --first-frame 1"):
            understand(path, TASKS["VA"], Options())
        found = understand(path, TASKS["VA"], Options(missing="nan"), Expected({"102": 3}, "annotations"))
        assert np.isnan(found.tracks["102"][:, 0]).tolist() == [True, False, False]
        with pytest.raises(Exception, match="one less than the rows"):
            understand(path, TASKS["VA"], Options(), Expected({"102": 4}, "annotations"))
        found = understand(
            path, TASKS["VA"], Options(missing="nan", first_frame=0), Expected({"102": 4}, "x")
        )
        assert np.isnan(found.tracks["102"][:, 0]).tolist() == [True, True, False, False]

    def test_a_first_line_that_may_be_a_header(self, tmp_path):
        path = self.table(tmp_path, "0,1\n0.3,0.4\n0.5,0.6\n")
        with pytest.raises(Exception, match="--no-header or --header"):
            understand(path, TASKS["VA"], Options())
        assert len(understand(path, TASKS["VA"], Options(header=False)).tracks["102"]) == 3
        assert len(understand(path, TASKS["VA"], Options(header=True)).tracks["102"]) == 2
        for rows in (2, 3):
            found = understand(path, TASKS["VA"], Options(), Expected({"102": rows}, "x"))
            assert len(found.tracks["102"]) == rows
            assert found.tracks["102"][-1, 0] == np.float32(0.5)

    def test_the_same_row_twice_is_taken_once(self, tmp_path):
        path = self.table(tmp_path, "frame,valence,arousal\n1,.1,.2\n2,.3,.4\n2,.3,.4\n3,.5,.6\n")
        found = understand(path, TASKS["VA"], Options())
        assert len(found.tracks["102"]) == 3
        assert any("twice" in note for note in found.notes)


def test_more_tracks_than_asked_for_are_left_out_and_named(tmp_path):
    tracks = layouts.make_scores("VA", ROWS)
    source = layouts.LAYOUTS["csv_per_video"](tmp_path / "x", tracks, "VA")
    (source / "class_names.txt").write_text("Happy\nSad\n")
    with pytest.raises(Exception, match=r"class_names\.txt"):
        understand(source, TASKS["VA"], Options())
    found = understand(source, TASKS["VA"], Options(), Expected({"102": 17, "ghost": 4}, "list"))
    same(found.tracks, {"102": tracks["102"]})
    assert any("10-60-1280x720" in note for note in found.notes)
    assert any("1 of 2 tracks of list have no scores here: ghost" in note for note in found.notes)


@pytest.mark.parametrize(
    ("task", "option"), [("AU", "logits"), ("EXPR", "logits"), ("AU", "percent"), ("EXPR", "percent")]
)
def test_logits_and_percentages_are_refused_with_the_option_that_reads_them(tmp_path, task, option):
    tracks = layouts.make_scores(task, ROWS)
    if option == "percent":
        made = {t: v * 100 for t, v in tracks.items()}
    elif task == "AU":
        made = {t: np.log(v / (1 - v)) for t, v in tracks.items()}
    else:
        made = {t: np.log(v) + 3 for t, v in tracks.items()}
    np.savez(tmp_path / "x.npz", **made)
    with pytest.raises(Exception, match=f"--{option}"):
        understand(tmp_path / "x.npz", TASKS[task], Options())
    with pytest.raises(Exception, match=f"--{option}"):
        read_scores(tmp_path / "x.npz", task)
    found = understand(tmp_path / "x.npz", TASKS[task], Options(**{option: True}))
    for track, values in tracks.items():
        np.testing.assert_allclose(found.tracks[track], values, atol=2e-6)
    np.savez(tmp_path / "y.npz", **tracks)
    with pytest.raises(Exception, match="probabilities already"):
        understand(tmp_path / "y.npz", TASKS[task], Options(**{option: True}))
