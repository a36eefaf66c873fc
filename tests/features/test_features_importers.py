"""Features made elsewhere: the rows they are for, and what is refused."""

import numpy as np
import pytest

from abaw_submit.errors import UserError
from abaw_submit.features.cache import read_features
from abaw_submit.features.importers import import_folder, read_table

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
            ("", "Expected a CSV with a header"),
            ("frame,success\n1,1\n", "no feature column"),
            ("frame,x\n1,1\n1,2\n", "a frame twice"),
            ("frame,x\n0,1\n", "below 1"),
            ("x,name\n1,a\n", 'column "name" holds text'),
        ],
    )
    def test_csv(self, tmp_path, text, message):
        (tmp_path / "a.csv").write_text(text)
        with pytest.raises(UserError, match=message):
            read_table(tmp_path / "a.csv")

    def test_arrays(self, tmp_path):
        (tmp_path / "a.npy").write_bytes(b"junk")
        with pytest.raises(UserError, match=r"not a readable \.npy"):
            read_table(tmp_path / "a.npy")
        np.save(tmp_path / "b.npy", np.ones(4))
        with pytest.raises(UserError, match=r"expected numbers \(rows, dim\)"):
            read_table(tmp_path / "b.npy")
        np.save(tmp_path / "c.npy", np.array([{"a": 1}]), allow_pickle=True)
        with pytest.raises(UserError, match="not a readable"):
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
