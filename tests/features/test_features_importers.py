"""Features made elsewhere: the rows they are for, and what is refused."""

import errno
import json
from unittest.mock import Mock

import numpy as np
import pytest

from abaw_submit.errors import UserError
from abaw_submit.features.cache import read_features
from abaw_submit.features.importers import FeatureOptions, import_folder, read_table

# the head of an OpenFace 2 file: a space after each comma, a second face in frame 2
OPENFACE = """frame, face_id, timestamp, confidence, success, AU01_r, AU02_r, AU01_c
1, 0, 0.000, 0.98, 1, 0.10, 0.20, 0
2, 0, 0.033, 0.40, 1, 0.90, 0.90, 1
2, 1, 0.033, 0.95, 1, 0.30, 0.40, 1
4, 0, 0.100, 0.02, 0, 0.00, 0.00, 0
"""


@pytest.fixture
def crops(tmp_path, make_crops):
    make_crops(tmp_path / "crops" / "102", rows=5, found=[False] * 5)
    make_crops(tmp_path / "crops" / "video2", rows=3, found=[False] * 3)
    (tmp_path / "given").mkdir()
    return tmp_path / "crops"


def run(tmp_path, crops, **more):
    return import_folder(tmp_path / "given", tmp_path / "out", **{"name": "openface", "crops": crops, **more})


def test_openface_by_frame_number_and_the_surest_face(tmp_path, crops):
    (tmp_path / "given" / "102.csv").write_text(OPENFACE)
    np.save(tmp_path / "given" / "video2.npy", np.zeros((3, 2)))
    report = run(tmp_path, crops, columns="^AU.*_r$")
    assert report.failures == []
    features = read_features(tmp_path / "out" / "102.h5")
    assert features.valid.tolist() == [True, True, False, False, False]  # 3 and 5 are missing, 4 failed
    np.testing.assert_allclose(features.values[:2], [[0.1, 0.2], [0.3, 0.4]], atol=1e-3)
    np.testing.assert_allclose(features.time_s, np.arange(5) / 30, atol=1e-6)
    assert features.attributes["extractor"] == "openface"
    assert run(tmp_path, crops, columns="^AU.*_r$").fresh is False


def test_a_plain_csv_takes_all_numbers_but_frame_time_and_confidence(tmp_path):
    (tmp_path / "a.csv").write_text(OPENFACE)
    assert read_table(tmp_path / "a.csv").values.shape == (3, 3)
    (tmp_path / "b.csv").write_text("x,y\n1,2\n3,\n")
    table = read_table(tmp_path / "b.csv")
    assert table.rows.tolist() == [0, 1]
    assert table.valid.tolist() == [True, False]


def test_npz_may_say_which_rows_are_valid(tmp_path):
    np.savez(tmp_path / "a.npz", values=np.array([[1.0], [np.nan], [3.0]]), valid=[1, 1, 0])
    assert read_table(tmp_path / "a.npz").valid.tolist() == [True, False, False]
    np.savez(tmp_path / "b.npz", np.ones((2, 3)))
    assert read_table(tmp_path / "b.npz").values.shape == (2, 3)


@pytest.mark.parametrize(("rows", "valid"), [(4, [1, 1, 1, 1, 0]), (5, [1] * 5), (7, [1] * 5)])
def test_a_few_rows_more_or_fewer_at_the_end_are_taken(tmp_path, crops, rows, valid):
    """Other decoders find -1 to +3 frames more than the official row count."""
    np.save(tmp_path / "given" / "102.npy", np.arange(rows * 2.0).reshape(rows, 2))
    np.save(tmp_path / "given" / "video2.npy", np.ones((3, 2)))
    assert run(tmp_path, crops).failures == []
    features = read_features(tmp_path / "out" / "102.h5")
    assert features.valid.tolist() == [bool(v) for v in valid]
    assert features.values[3].tolist() == [6, 7]


def test_too_many_rows_and_a_missing_track_are_listed_and_the_rest_is_done(tmp_path, crops):
    np.save(tmp_path / "given" / "102.npy", np.ones((9, 2)))
    report = run(tmp_path, crops)
    assert [track for track, _ in report.failures] == ["102", "video2"]
    assert "9 rows; expected 5 (at most 3 more or fewer)" in dict(report.failures)["102"]
    assert "no video2.csv" in dict(report.failures)["video2"]
    np.save(tmp_path / "given" / "video2.npy", np.ones((3, 2)))
    assert [track for track, _ in run(tmp_path, crops).failures] == ["102"]
    assert read_features(tmp_path / "out" / "video2.h5").rows == 3


def test_rows_from_annotations_without_crops(tmp_path):
    folder = tmp_path / "VA_Estimation_Challenge" / "Train_Set"
    folder.mkdir(parents=True)
    (folder / "108.txt").write_text("valence,arousal\n0.1,0.2\n-5,-5\n")
    (tmp_path / "given").mkdir()
    np.save(tmp_path / "given" / "108.npy", np.ones((2, 4)))
    report = import_folder(tmp_path / "given", tmp_path / "out", name="x", annotations=tmp_path)
    assert [(r.track, r.rows) for r in report.results] == [("108", 2)]
    assert np.isnan(read_features(tmp_path / "out" / "108.h5").time_s).all()


class TestRefused:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "is empty"),
            ("frame,success\n1,1\n", "no feature column"),
            ("frame,x\n1,1\n1,2\n", "a frame twice"),
            ("frame,x\n-1,1\n0,2\n", "frame -1"),
            ("frame,x\n1.9,1\n2,2\n", "line 2: frame 1.9"),
            ("x,remark\n1,a\n", 'column "remark" holds text'),
            ("x,y\n1,2\n3,4,5\n", "line 3: 3 values"),
            ("x,y\n1,2\n\n3,4\n", "line 3: blank"),
        ],
    )
    def test_csv(self, tmp_path, text, message):
        (tmp_path / "a.csv").write_text(text)
        with pytest.raises(UserError, match=message):
            read_table(tmp_path / "a.csv")

    def test_arrays(self, tmp_path):
        (tmp_path / "a.npy").write_bytes(b"junk")
        with pytest.raises(UserError, match=r"damaged \.npy"):
            read_table(tmp_path / "a.npy")
        np.save(tmp_path / "b.npy", np.ones((4, 3, 2)))
        with pytest.raises(UserError, match=r"expected \(rows, values\)"):
            read_table(tmp_path / "b.npy")
        np.save(tmp_path / "c.npy", np.array([{"a": "text"}]), allow_pickle=True)
        with pytest.raises(UserError, match="no feature column"):
            read_table(tmp_path / "c.npy")
        np.savez(tmp_path / "d.npz", values=np.ones((3, 2)), valid=[1])
        with pytest.raises(UserError, match=r"valid is \(1,\); expected \(3,\)"):
            read_table(tmp_path / "d.npz")
        np.savez(tmp_path / "e.npz")
        with pytest.raises(UserError, match="holds no array"):
            read_table(tmp_path / "e.npz")

    def test_folders(self, tmp_path, crops):
        with pytest.raises(UserError, match=r"No file in .* is named like a track"):
            run(tmp_path, crops)
        with pytest.raises(UserError, match="give --crops, or --annotations"):
            run(tmp_path, None)
        np.save(tmp_path / "given" / "102.npy", np.ones((5, 1)))
        with pytest.raises(UserError, match="is not a regular expression"):
            run(tmp_path, crops, columns="(")
        (tmp_path / "given" / "102.csv").write_text("x\n1\n")
        with pytest.raises(UserError, match=r"has 102\.csv and 102\.npy"):
            run(tmp_path, crops)


def save_frames(folder, values, first=1):
    folder.mkdir(parents=True)
    for k, row in enumerate(values):
        np.save(folder / f"frame_{k + first:05d}.npy", row)


class TestLayouts:
    """The same vectors in, whatever the layout; a wrong shift would show."""

    VALUES = {  # noqa: RUF012
        "102": np.arange(10.0).reshape(5, 2) + 1.5,
        "video2": np.arange(6.0).reshape(3, 2) + 50,
    }

    def text(self, values, header="x,y\n", first=None, mark=","):
        rows = [[*([k + first] if first is not None else []), *v] for k, v in enumerate(values)]
        return header + "".join(mark.join(f"{n:g}" for n in row) + "\n" for row in rows)

    def make(self, given, layout):
        import h5py

        for track, values in self.VALUES.items():
            if layout == "headerless":
                (given / f"{track}.csv").write_text(self.text(values, ""))
            elif layout == "headerless spaces":
                (given / f"{track}.txt").write_text(self.text(values, "", mark=" "))
            elif layout == "headerless frames":
                (given / f"{track}.csv").write_text(self.text(values, "", 0))
            elif layout in ("frames from 0", "frames from 1"):
                (given / f"{track}.csv").write_text(self.text(values, "frame,x,y\n", int(layout[-1])))
            elif layout == "feat suffix":
                np.save(given / f"{track}_feat.npy", values)
            elif layout == "mp4 suffix":
                np.savez(given / f"{track}.mp4.npz", features=values)
            elif layout == "frame files":
                save_frames(given / track, values)
            elif layout == "frame files from 0":
                save_frames(given / f"{track}_features", values, 0)
            elif layout == "folder a track":
                (given / track).mkdir()
                np.save(given / track / "clip.npy", values)
            elif layout == "groups":
                with h5py.File(given / "all.h5", "a") as file:
                    file[f"{track}/embedding"] = values
            elif layout == "npz of all":
                np.savez(given / "all.npz", **self.VALUES)
            elif layout == "one csv":
                lines = [
                    f"{t}/{k + 1:05d}.jpg,{a},{b}\n"
                    for t, v in self.VALUES.items()
                    for k, (a, b) in enumerate(v)
                ]
                (given / "all.csv").write_text("image,x,y\n" + "".join(lines[::-1]))
        (given / "README.txt").write_text("words, and more words\n")

    @pytest.mark.parametrize(
        "layout",
        ["headerless", "headerless spaces", "headerless frames", "frames from 0", "frames from 1",
         "feat suffix", "mp4 suffix", "frame files", "frame files from 0", "folder a track", "groups",
         "npz of all", "one csv"],
    )  # fmt: skip
    def test_layout(self, tmp_path, crops, layout):
        self.make(tmp_path / "given", layout)
        report = run(tmp_path, crops)
        assert report.failures == []
        for track, values in self.VALUES.items():
            features = read_features(tmp_path / "out" / f"{track}.h5")
            assert features.valid.all()
            np.testing.assert_allclose(features.values, values)

    def test_one_bad_file_does_not_stop_the_others(self, tmp_path, crops):
        (tmp_path / "given" / "102.npz").write_bytes(b"PK\x03\x04 and then nothing")
        np.save(tmp_path / "given" / "video2.npy", self.VALUES["video2"])
        report = run(tmp_path, crops)
        assert [track for track, _ in report.failures] == ["102"]
        assert read_features(tmp_path / "out" / "video2.h5").rows == 3

    def test_but_a_machine_without_more_open_files_does(self, tmp_path, crops, monkeypatch):
        for track, values in self.VALUES.items():
            np.save(tmp_path / "given" / f"{track}.npy", values)
        many = OSError(errno.EMFILE, "Too many open files")
        monkeypatch.setattr("abaw_submit.features.units.feature_parts", Mock(side_effect=many))
        with pytest.raises(OSError, match="Too many open files"):
            run(tmp_path, crops)

    def test_new_crops_give_new_times(self, tmp_path, crops, make_crops):
        self.make(tmp_path / "given", "feat suffix")
        run(tmp_path, crops)
        before = read_features(tmp_path / "out" / "102.h5").time_s
        ledger = crops / "102" / "ledger.csv"
        lines = ledger.read_text().splitlines()
        ledger.write_text(
            "\n".join([lines[0], *(line.replace(",0.", ",1.", 1) for line in lines[1:])]) + "\n"
        )
        report = run(tmp_path, crops)
        assert report.fresh
        assert (read_features(tmp_path / "out" / "102.h5").time_s != before).all()

    def test_frames_missing_at_the_end_are_not_valid(self, tmp_path, make_crops):
        make_crops(tmp_path / "crops" / "108", rows=12, found=[False] * 12)
        (tmp_path / "given").mkdir()
        (tmp_path / "given" / "108.csv").write_text("frame,x\n0,1\n1,2\n5,3\n")
        assert run(tmp_path, tmp_path / "crops").failures == []
        assert np.flatnonzero(read_features(tmp_path / "out" / "108.h5").valid).tolist() == [0, 1, 5]

    def test_where_counting_starts_may_have_to_be_said(self, tmp_path, crops):
        (tmp_path / "given" / "102.csv").write_text("frame,x\n2,1\n3,2\n4,3\n")
        (why,) = {why for track, why in run(tmp_path, crops).failures if track == "102"}
        assert "--first-frame 0 or --first-frame 1" in why
        report = run(tmp_path, crops, options=FeatureOptions(first_frame=0))
        assert [track for track, _ in report.failures] == ["video2"]
        assert read_features(tmp_path / "out" / "102.h5").valid.tolist() == [False, False, True, True, True]


class TestSegments:
    """Vectors that hold for an interval."""

    def test_overlaps_are_averaged_by_shared_time(self, tmp_path, make_crops):
        make_crops(tmp_path / "crops" / "102", rows=6, found=[False] * 6)  # 30 rows a second
        (tmp_path / "given").mkdir()
        step = 1 / 30
        rows = [(0, 2 * step, 1.0), (step * 1.5, 4 * step, 5.0)]
        (tmp_path / "given" / "102.csv").write_text(
            "start,end,x\n" + "".join(f"{a},{b},{v}\n" for a, b, v in rows)
        )
        assert run(tmp_path, tmp_path / "crops").failures == []
        features = read_features(tmp_path / "out" / "102.h5")
        assert features.valid.tolist() == [True] * 4 + [False] * 2
        # row 1 lies in the first for its whole time and in the second for half of it
        np.testing.assert_allclose(features.values[:4, 0], [1, (1 + 0.5 * 5) / 1.5, 5, 5], atol=2e-2)

    @pytest.mark.parametrize(("end", "rows"), [(3, [(0, 3), (3, 6)]), (2, [(0, 2), (3, 5)])])
    def test_in_frames(self, tmp_path, end, rows):
        folder = tmp_path / "VA_Estimation_Challenge" / "Train_Set"
        folder.mkdir(parents=True)
        (folder / "108.txt").write_text("valence,arousal\n" + "0.1,0.2\n" * 6)
        (tmp_path / "given").mkdir()
        start, stop = zip(*rows, strict=True)
        np.savez(tmp_path / "given" / "108.npz", features=np.array([[1.0], [2.0]]), start=start, end=stop)
        report = run(tmp_path, None, annotations=tmp_path, options=FeatureOptions(segments="frames"))
        assert report.failures == []
        assert read_features(tmp_path / "out" / "108.h5").values[:, 0].tolist() == [1, 1, 1, 2, 2, 2]

    @pytest.mark.parametrize(
        ("rows", "options", "message"),
        [
            ("0,40,1\n40,80,2\n", {}, "another unit"),
            ("0.1,0.1,1\n", {}, "start < end"),
            ("0,16,1\n8,24,2\n", {"segments": "frames"}, "--segment-end"),
            ("1,16,1\n17,32,2\n", {"segments": "frames"}, "--first-frame"),
        ],
    )
    def test_refused(self, tmp_path, make_crops, rows, options, message):
        make_crops(tmp_path / "crops" / "102", rows=32, found=[False] * 32)
        (tmp_path / "given").mkdir()
        (tmp_path / "given" / "102.csv").write_text("start,end,x\n" + rows)
        (why,) = (
            why for _, why in run(tmp_path, tmp_path / "crops", options=FeatureOptions(**options)).failures
        )
        assert message in why


def test_rows_whose_times_are_not_in_order_are_refused(tmp_path, crops):
    times = (0.0, 0.033, 0.067, 0.1, 0.133)
    for name, order in (("102", (0, 1, 2, 3, 4)), ("video2", (0, 2, 1))):
        rows = "".join(f"{times[k]},{k},1\n" for k in order)
        (tmp_path / "given" / f"{name}.csv").write_text(f"frameTime,a,b\n{rows}")
    report = run(tmp_path, crops)
    assert [track for track, _ in report.failures] == ["video2"]
    assert "time 0.033 after 0.067" in report.failures[0][1]
    assert read_features(tmp_path / "out" / "102.h5").values[:, 0].tolist() == [0, 1, 2, 3, 4]


def test_an_embedding_is_found_beside_the_box_of_its_face(tmp_path):
    entries = [{"embedding": [0.25, k], "facial_area": {"x": 1, "y": 2}} for k in range(4)]
    (tmp_path / "a.json").write_text(json.dumps([[entry] for entry in entries]))
    assert read_table(tmp_path / "a.json").values.tolist() == [[0.25, k] for k in range(4)]


def test_another_rate_than_the_frames_is_pointed_to_intervals(tmp_path, crops):
    np.save(tmp_path / "given" / "102.npy", np.zeros((10, 2)))
    assert "give each vector a `start`" in dict(run(tmp_path, crops).failures)["102"]
