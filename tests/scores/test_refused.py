"""What could be read in two ways is refused, with the place and the option that settles it."""

import os
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest

from abaw_submit.errors import UserError
from abaw_submit.scores.files import read_scores
from abaw_submit.scores.sniff.assemble import Expected
from abaw_submit.scores.sniff.pickles import read_pickle
from abaw_submit.scores.sniff.table import Options
from abaw_submit.scores.sniff.understand import understand
from abaw_submit.tasks import TASKS

VA = TASKS["VA"]
FIVE = "".join(f"0.{k},0.{k + 1}\n" for k in range(1, 6))


def refused(
    path: Path, message: str, task: str = "VA", rows: dict[str, int] | None = None, **options: object
) -> str:
    expected = Expected(rows, "TEMPLATE", True) if rows is not None else None
    with pytest.raises(UserError, match=message) as error:
        understand(path, TASKS[task], Options(**options), expected)
    assert str(error.value).count("\n") < 3
    return str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"102\.csv is empty"),
        ("valence,arousal\n", "a header and no rows"),
        ("valence,arousal\n1,0.1,0.2\n2,0.3,0.4\n", r"line 1: the header names 2 columns .* the rows have 3"),
        ("valence,arousal\n0.1,0.2\n\n0.3,0.4\n", "line 3: blank"),
        ("valence,arousal\n0.1,0.2\n  \n0.3,0.4\n", "line 3"),
        ("valence,arousal\n0.1,0.2\n0.3\n", 'line 3: 1 values in "0.3"; expected 2'),
        ("valence,arousal\n0.1,0.2\n0.3,0.4,0.5\n", "line 3: 3 values"),
        ("valence,arousal\n0.1,0.2\n0.3,True\n", 'line 3: "True" in column "arousal"'),
        ("valence,arousal\n0.1,0.2\n0.3,\n", 'line 3: nothing in column "arousal".*\n?.*--missing'),
        ("valence,arousal\n0.1,0.2\n0.3,1_0\n", 'line 3: "1_0"'),
        ("valence,arousal\n0.1,0.2\n-5,-5\n", "row 2: -5, which marks rows without annotation"),
        ("valence,arousal\n0.1,0.2\n8,0.1\n", r"row 2: scores from 0.1 to 8"),
        ("valence,arousal\n0.1,0.2\n1e30,0.1\n", "row 2"),
        ("valence,arousal\n0.1,0.2\n1.2,0.1\n", "add --clip"),
        ("valence,arousal\n0.1,0.2\ninf,0.1\n", "an infinite score"),
        ("valence,arousal\n0.1,0.2\n0.3,nan\n", "row 2: NaN beside numbers"),
        ("valence,arousal\n0.1,0.2\nvalence,arousal\n0.3,0.4\n", 'line 3: "valence"'),
        ("frame,valence,arousal\n1,0.1,0.2\n1.9,0.3,0.4\n", "line 3: frame 1.9"),
        ("frame,valence,arousal\n-1,0.1,0.2\n0,0.3,0.4\n", "frame -1"),
        ("frame,valence,arousal\n1,0.1,0.2\n1,0.3,0.4\n", "frame 1 comes twice, with different"),
        ("frame,valence,arousal\n7,0.1,0.2\n8,0.3,0.4\n", "--first-frame 0 or --first-frame 1"),
        (",valence,arousal\n0,0.1,0.2\n2,0.3,0.4\n", r"--columns frame=1,2,3"),
        ("time,valence,arousal\n0.0,.1,.2\n0.1,.1,.2\n0.2,.1,.2\n0.5,.1,.2\n0.6,.1,.2\n0.7,.1,.2\n0.8,.1,.2\n"
         "0.9,.1,.2\n1.0,.1,.2\n1.1,.1,.2\n1.2,.1,.2\n1.3,.1,.2\n", "rows are missing"),
        ("time,valence,arousal\n0.2,.1,.2\n0.1,.1,.2\n0.3,.1,.2\n", "expected ascending times"),
        ("valence,arousal,valence_pred,arousal_pred\n0,0,.1,.2\n0,0,.3,.4\n", "may both be valence"),
        ("valence,x\n0.1,0.2\n0.3,0.4\n", "no column for arousal"),
        ("a_score,b_score\n0.1,0.2\n0.3,0.4\n", r"arousal|valence"),
        ("0.1,0.2,0.3\n0.3,0.4,0.1\n", "3 columns of numbers without names; VA has 2"),
        ("valence;arousal\n1,5e-1;0.25\n-1E-3;0,5\n", '"0.25"'),
        ("image_location,valence,arousal\n102/00001.jpg,\n102/00002.jpg,\n", "a blank template"),
        ("image_location,valence,arousal\n102,0.1,0.2\n108,0.1,0.2\nvideo2,.1,.2\n102,.4,.5\n", "again after another"),  # noqa: E501
        ("\x00\x01\x02", "not text"),
    ],
)  # fmt: skip
def test_text(tmp_path, text, message):
    (tmp_path / "102.csv").write_text(text)
    refused(tmp_path / "102.csv", message)


@pytest.mark.parametrize(
    ("task", "text", "message"),
    [
        ("EXPR", "expression\n1\n8\n", "row 2: class 8; expected 0 to 7"),
        ("EXPR", "expression\n1\n-1\n", "these are annotations"),
        ("EXPR", "expression\nHappy\nContempt\n", '"Contempt" is none of Neutral'),
        ("EXPR", ",".join(["Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Contempt"]) + "\n" + "0.1," * 7 + "0.3\n",  # noqa: E501
         "no column for Other"),
        ("EXPR", ("0.1," * 6 + "0.4\n") * 3, "editions 1 and 2 have no Other"),
        ("AU", ",".join(TASKS["AU"].columns) + "\n" + (",".join(["1"] * 12) + "\n" + ",".join(["-1"] * 12) + "\n") * 2,  # noqa: E501
         "these are annotations"),
        ("AU", (",".join(["-3.5"] * 12) + "\n") * 3, "log probabilities need exp"),
        ("AU", (",".join(["4.5"] * 12) + "\n") * 3, "add --intensity"),
        ("EXPR", "0\n3\n3\n", "--no-header or --header"),
    ],
)  # fmt: skip
def test_labels_and_annotations(tmp_path, task, text, message):
    (tmp_path / "102.csv").write_text(text)
    refused(tmp_path / "102.csv", message, task)


class TestRowCounts:
    def test_one_row_too_many(self, tmp_path):
        (tmp_path / "102.csv").write_text(FIVE)
        refused(tmp_path, r"5 rows; it has 4 rows", rows={"102": 4})
        refused(tmp_path, r"5 rows; expected 6", rows={"102": 6})
        refused(tmp_path, "No track of .* is in TEMPLATE: found 102; expected 108", rows={"108": 5})

    def test_frames_beyond_the_end(self, tmp_path):
        (tmp_path / "102.csv").write_text("frame,valence,arousal\n1,.1,.2\n2,.3,.4\n9,.5,.6\n")
        refused(tmp_path, r"frame 9 \(counted from 1\); it has 3 rows", rows={"102": 3}, first_frame=1)

    def test_a_frame_number_out_of_all_proportion(self, tmp_path):
        (tmp_path / "102.csv").write_text("frame,valence,arousal\n1,.1,.2\n2,.3,.4\n90000000,.5,.6\n")
        refused(tmp_path, "but only 3 rows", first_frame=1)

    def test_one_array_of_nobody_knows_what(self, tmp_path):
        np.save(tmp_path / "predictions.npy", np.zeros((9, 2)))
        refused(tmp_path / "predictions.npy", "nothing says which track")
        refused(tmp_path / "predictions.npy", "9 rows; TEMPLATE has 8", rows={"a": 3, "b": 5}, stacked=True)
        np.savez(tmp_path / "x.npz", scores=np.zeros((9, 2)), lengths=[4, 5])
        refused(tmp_path / "x.npz", "lengths of 2 tracks without their names")
        np.savez(tmp_path / "x.npz", scores=np.zeros((9, 2)), lengths=[4, 4], names=["a", "b"])
        refused(tmp_path / "x.npz", "add up to 8; the scores have 9 rows")


class TestShifts:
    """Lines and numbers that would move every row by one."""

    def test_a_first_row_of_gaps_is_no_header(self, tmp_path):
        (tmp_path / "102.csv").write_text("NA,NA\n" + FIVE)
        refused(tmp_path, 'line 1: "NA" in column 1')
        found = understand(tmp_path, VA, Options(missing="nearest"))
        assert found.tracks["102"][:, 0].round(3).tolist() == pytest.approx(
            [0.1, 0.1, 0.2, 0.3, 0.4, 0.5], abs=1e-6
        )

    def test_numbers_of_action_units_over_their_columns(self, tmp_path):
        names = [column.removeprefix("AU") for column in TASKS["AU"].columns]
        turned = [*names[1:], names[0]]
        values = {name: k / 20 for k, name in enumerate(names)}
        for order in (names, turned):
            row = ",".join(f"{values[name]:.3f}" for name in order)
            (tmp_path / "102.csv").write_text(",".join(order) + f"\n{row}\n{row}\n")
            found = understand(tmp_path, TASKS["AU"], Options())
            np.testing.assert_allclose(found.tracks["102"], [list(values.values())] * 2, rtol=1e-6)

    def test_a_frame_0_that_may_be_missing(self, tmp_path):
        (tmp_path / "102.csv").write_text("frame,valence,arousal\n1,.1,.2\n2,.3,.4\n4,.5,.6\n")
        refused(tmp_path, "perhaps a frame 0 too")
        refused(tmp_path, "--first-frame", rows={"102": 6})
        refused(tmp_path, "lacks row 3 of 4", rows={"102": 4})

    def test_a_track_and_a_picture_that_differ(self, tmp_path):
        rows = "".join(f"video2,video2_left/{k:05d}.jpg,.1,.2\n" for k in (1, 2, 3))
        (tmp_path / "all.csv").write_text("video,image,valence,arousal\n" + rows)
        refused(tmp_path / "all.csv", "one column says track video2, the picture's folder video2_left")
        found = understand(tmp_path / "all.csv", VA, Options(columns="image=image,valence,arousal"))
        assert list(found.tracks) == ["video2_left"]


class TestFolders:
    def test_the_same_track_twice(self, tmp_path):
        np.save(tmp_path / "102.npy", np.zeros((3, 2)))
        (tmp_path / "102.csv").write_text(FIVE)
        refused(tmp_path, r"hold 102: .*102\.csv and .*102\.npy")
        (tmp_path / "102.csv").unlink()
        np.save(tmp_path / "102.mp4.npy", np.zeros((3, 2)))
        refused(tmp_path, "comes twice")

    def test_folds_that_hold_the_same_tracks(self, tmp_path):
        for fold in "01":
            (tmp_path / f"fold_{fold}").mkdir()
            np.save(tmp_path / f"fold_{fold}" / "102.npy", np.zeros((3, 2)))
        refused(tmp_path, "--only")
        found = understand(tmp_path, VA, Options(only="fold_1/*"))
        assert list(found.tracks) == ["102"]

    def test_checkpoints_with_scores_of_both_kinds(self, tmp_path):
        for name in ("scores_validation.h5", "scores_test.h5"):
            (tmp_path / name).write_bytes(b"\x89HDF\r\n\x1a\n")
        (tmp_path / "history.csv").write_text("epoch,loss\n1,2\n")
        with pytest.raises(UserError, match="holds scores of validation and test tracks"):
            read_scores(tmp_path, "VA")

    def test_nothing_but_rubbish(self, tmp_path):
        (tmp_path / "README.txt").write_text("hello")
        os.mkfifo(tmp_path / "102.csv")
        refused(tmp_path, r"holds no file of scores; left out: 102.csv, README.txt")
        refused(tmp_path / "ghost", "Nothing at")

    @pytest.mark.parametrize("name", ["a\nb", " ab", "a" * 246])
    def test_names_no_track_can_have(self, tmp_path, name):
        np.save(tmp_path / f"{name}.npy", np.zeros((3, 2)))
        refused(tmp_path, "cannot be the name of a track")

    def test_a_name_that_is_no_utf8(self, tmp_path):
        np.save(tmp_path / "x.npy", np.zeros((3, 2)))
        os.rename(tmp_path / "x.npy", os.fsencode(tmp_path) + b"/a\xff.npy")
        assert "udcff" in refused(tmp_path, "not UTF-8")

    @pytest.mark.parametrize("name", ["a,b", "$x$", "vidéo", "a b"])
    def test_odd_names_are_kept(self, tmp_path, name):
        np.save(tmp_path / f"{name}.npy", np.zeros((3, 2)))
        assert list(understand(tmp_path, VA, Options()).tracks) == [name]


class TestArrays:
    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ({"102": np.zeros((4, 3))}, "3 columns of numbers without names"),
            ({"102": np.zeros((2, 3, 4))}, r"an array \(2, 3, 4\)"),
            ({"102": np.zeros((0, 2))}, "an empty array"),
            ({"102": np.array([["a", "b"]])}, "text|columns of numbers"),
            ({"102": np.zeros((4, 2), bool)}, "bool array"),
            ({"scores": np.zeros((4, 2)), "preds": np.zeros((4, 2))}, "several arrays .* --key NAME"),
            ({"labels": np.zeros((4, 2))}, "no array of scores"),
            ({"scores": np.zeros((4, 2)), "frames": np.array([0, 1, 2, 2.5])}, "2.5 is not a frame number"),
            ({"scores": np.zeros((3, 2)), "frame": np.arange(4), "video": ["a", "a", "b", "b"]}, "4|tracks"),
        ],
    )
    def test_npz(self, tmp_path, content, message):
        np.savez(tmp_path / "102.npz", **content)
        refused(tmp_path / "102.npz", message)

    def test_damaged(self, tmp_path):
        np.save(tmp_path / "102.npy", np.zeros((3, 2)))
        whole = (tmp_path / "102.npy").read_bytes()
        for cut in (4, 60, 100, len(whole) - 3):
            (tmp_path / "102.npy").write_bytes(whole[:cut])
            refused(tmp_path, "damaged|columns|empty|header")
        (tmp_path / "102.npy").unlink()
        (tmp_path / "x.npz").write_bytes(b"PK\x03\x04rubbish")
        refused(tmp_path, "damaged|zip")
        np.savez(tmp_path / "x.npz", scores=np.zeros((3, 2)))
        whole = bytearray((tmp_path / "x.npz").read_bytes())
        whole[whole.rindex(b"PK\x01\x02") + 6] = 102  # a version of zip that is none yet
        (tmp_path / "x.npz").write_bytes(whole)
        refused(tmp_path / "x.npz", "damaged|zip")

    def test_formats_that_need_something_else(self, tmp_path):
        for name, head, message in (
            ("x.parquet", b"PAR1" + bytes(20), "pyarrow|Parquet"),
            ("x.csv.gz", b"\x1f\x8b" + bytes(20), "damaged gzip file"),
            ("x.png", b"\x89PNG\r\n\x1a\n", "a picture"),
        ):
            (tmp_path / name).write_bytes(head)
            refused(tmp_path / name, message)


def test_a_line_without_end_is_refused_before_it_is_split(tmp_path):
    (tmp_path / "x.txt").write_bytes(b"valence,arousal\n0.5,0.5\n" + b"1," * (1 << 22) + b"1\n")
    refused(tmp_path / "x.txt", "line 3: more than 8,388,608 bytes in one line")


class TestHdf5:
    def test_links_out_of_the_file_are_not_followed(self, tmp_path):
        with h5py.File(tmp_path / "other.h5", "w") as file:
            file["secret"] = np.zeros((3, 2))
        for link in (h5py.ExternalLink("other.h5", "secret"), h5py.SoftLink("/108")):
            with h5py.File(tmp_path / "x.h5", "w") as file:
                file["108"] = np.zeros((3, 2))
                file["102"] = link
            refused(tmp_path / "x.h5", "102 is a link, not data")
            with h5py.File(tmp_path / "x.h5", "a") as file:
                file.attrs["task"], file.attrs["columns"] = "VA", ["valence", "arousal"]
            with pytest.raises(UserError, match="102 is a link"):
                read_scores(tmp_path / "x.h5")

    def test_numbers_in_another_file_are_not_read(self, tmp_path):
        (tmp_path / "raw").write_bytes(bytes(24))
        with h5py.File(tmp_path / "x.h5", "w") as file:
            file.create_dataset("102", (3, 2), "f4", external=[("raw", 0, 24)])
        refused(tmp_path / "x.h5", "lie in another file")

    def test_a_size_that_the_file_cannot_hold(self, tmp_path):
        with h5py.File(tmp_path / "x.h5", "w") as file:
            file.create_dataset("102", (10**10, 2), "f4", chunks=(10**6, 2))
        refused(tmp_path / "x.h5", "claims 80,000,000,000 bytes")

    def test_damaged(self, tmp_path):
        (tmp_path / "x.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(200))
        refused(tmp_path / "x.h5", "is not a readable HDF5 file")
        with pytest.raises(UserError, match="is not a readable HDF5 file"):
            read_scores(tmp_path / "x.h5")

    @pytest.mark.parametrize(
        ("task", "value", "message"),
        [
            ("AU", 3.0, "import-scores --logits"),
            ("EXPR", -0.5, "--logits"),
            ("VA", -5, "-5 marks"),
            ("VA", 8, r"\[-1, 1\]"),
        ],
    )
    def test_own_files_hold_no_impossible_numbers(self, tmp_path, task, value, message):
        with h5py.File(tmp_path / "x.h5", "w") as file:
            file.attrs["task"], file.attrs["columns"] = task, list(TASKS[task].columns)
            file["102"] = np.full((3, TASKS[task].outputs), value, np.float32)
        with pytest.raises(UserError, match=message):
            read_scores(tmp_path / "x.h5")


class _Evil:
    def __reduce__(self):
        return os.system, ("touch evil",)


class TestPickles:
    """No code in a pickle is run; plain data and NumPy arrays come back as they are."""

    @pytest.mark.parametrize("protocol", range(6))
    def test_plain_data(self, protocol):
        data = {
            "a": np.arange(6, dtype=">f8").reshape(2, 3),
            "f": np.asfortranarray(np.random.default_rng(0).random((3, 4), np.float32)),
            "list": [1, 2.5, "x", None, True, (1, 2)],
            "scalar": np.float32(0.25),
            "objects": np.array([{"x": 1}, "y"], object),
            "half": np.ones(3, np.float16),
            "text": np.array(["ab", "c"]),
        }
        found = read_pickle(pickle.dumps(data, protocol), "x")
        for key in ("a", "f", "half", "text"):
            np.testing.assert_array_equal(found[key], data[key])
            assert np.asarray(found[key]).dtype.kind == np.asarray(data[key]).dtype.kind
        assert found["list"] == data["list"]
        assert found["scalar"] == 0.25
        assert list(found["objects"]) == [{"x": 1}, "y"]

    def test_code_is_not_run(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        for content in ({"102": _Evil()}, [_Evil()]):
            with pytest.raises(UserError, match="no code is run"):
                read_pickle(pickle.dumps(content), "x.pkl")
        assert not (tmp_path / "evil").exists()

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"\x80\x04",
            b"cnumpy\nndarray\n(I1000000000000\ntR.",
            b"cbuiltins\neval\n(S'1'\ntR.",
            b"\x80\x04\x8e" + (10**13).to_bytes(8, "little") + b"x.",
            b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I1000000000000\ntS'b'\ntR.",
        ],
    )
    def test_damaged_or_hostile(self, data):
        with pytest.raises(UserError, match="x"):
            read_pickle(data, "x")

    def test_a_list_that_holds_itself(self, tmp_path):
        loop = []
        loop.append(loop)
        (tmp_path / "x.pkl").write_bytes(pickle.dumps({"102": loop}))
        refused(tmp_path / "x.pkl", "nested")

    def test_lists_that_multiply(self, tmp_path):
        """A few bytes that would be 10 to the 9 numbers."""
        rows = [0.5] * 1000
        for _ in range(3):
            rows = [rows] * 100
        (tmp_path / "x.pkl").write_bytes(pickle.dumps({"102": rows}))
        refused(tmp_path / "x.pkl", "x.pkl")
