"""Annotations of every edition, with everything that editors and spreadsheets do to them."""

import numpy as np
import pytest

from abaw_submit.corpus.annotations import read_annotation, read_annotation_set
from abaw_submit.corpus.rows import official_rows, row_conflicts
from abaw_submit.errors import UserError
from abaw_submit.tasks import AU, EXPR, VA

AU12 = "AU1,AU2,AU4,AU6,AU7,AU10,AU12,AU15,AU23,AU24,AU25,AU26"
AU8 = "AU1,AU2,AU4,AU6,AU12,AU15,AU20,AU25"
EXPR8 = "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other"
EXPR7 = "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise"


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_va_with_an_invalid_row(tmp_path):
    path = write(tmp_path / "Train_Set/v.txt", "valence,arousal\n0.602,0.389\n-5,0.1\n-1,1\n0.2,-5.0\n")
    read = read_annotation(path, "VA")
    assert (read.track, read.task, read.subset, read.rows) == ("v", VA, "train", 4)
    np.testing.assert_array_equal(read.values, np.float32([[0.602, 0.389], [-5, 0.1], [-1, 1], [0.2, -5]]))
    assert read.valid.tolist() == [True, False, True, False]


def test_expr_and_au(tmp_path):
    expr = read_annotation(write(tmp_path / "e.txt", f"{EXPR8}\n0\n-1\n7\n"), EXPR)
    assert expr.values.tolist() == [[0], [-1], [7]]
    assert expr.valid.tolist() == [True, False, True]
    au = read_annotation(write(tmp_path / "a.txt", f"{AU12}\n{'0,1,' * 5}0,1\n{'1,' * 11}-1\n"), AU)
    assert au.values[0].tolist() == [0, 1] * 6
    assert au.valid.tolist() == [True, False]
    assert au.subset is None


def test_edition_1_has_8_aus_and_editions_1_and_2_have_7_expressions(tmp_path):
    au = read_annotation(write(tmp_path / "a.txt", f"{AU8}\n0,1,0,1,0,1,0,1\n"), AU)
    assert au.columns == tuple(AU8.split(","))
    assert au.values.shape == (1, 8)
    expr = read_annotation(write(tmp_path / "e.txt", f"{EXPR7}\n6\n"), EXPR)
    assert expr.columns[-1] == "Surprise"
    with pytest.raises(UserError, match=r'line 2: "7"; expected one integer 0..6'):
        read_annotation(write(tmp_path / "e.txt", f"{EXPR7}\n7\n"), EXPR)


@pytest.mark.parametrize(
    "text",
    [
        b"\xef\xbb\xbfvalence,arousal\n0.5,-0.25\n-5,-5\n",
        b"valence,arousal\r\n0.5,-0.25\r\n-5.0,-5.0\r\n",
        b"valence, arousal \n 0.5 ,\t-0.25\n-5, -5\n",
        b"valence,arousal\n0.5,-0.25\n-5,-5",
        b"valence,arousal\n0.5,-0.25\n-5,-5\n\n  \r\n\n",
        b"valence,arousal\n5e-1,-2.5E-1\n-5.000,-5\n",
        b"valence,arousal\n+.5,-.250000000000000000000000\n-5,-5\n",
    ],
)
def test_what_editors_do_is_accepted(tmp_path, text):
    read = read_annotation(write(tmp_path / "v.txt", text), VA)
    assert read.values.tolist() == [[0.5, -0.25], [-5, -5]]
    assert read.valid.tolist() == [True, False]


@pytest.mark.parametrize(
    ("task", "text", "message"),
    [
        ("VA", "valence,arousal\n0.1,0.2\n0.3\n", r'v.txt, line 3: 1 values in "0.3"; expected 2'),
        ("VA", "valence,arousal\n0.1,0.2\n\n0.3,0.1\n", r"line 3: 0 values"),
        ("VA", "valence,arousal\n0.1,x\n", r'line 2: "0.1,x"; expected two numbers in \[-1, 1\]'),
        ("VA", "valence,arousal\n0.1,\n", r'line 2: "0.1,"; expected two numbers'),
        ("VA", "valence,arousal\n0.1,nan\n", r'line 2: "0.1,nan"'),
        ("VA", "valence,arousal\n0.1,1.01\n", r'line 2: "0.1,1.01"; expected two numbers'),
        ("VA", "valence,arousal\n0.1,-4\n", r'line 2: "0.1,-4"'),
        ("VA", "valence,arousal\n0.1,0_1\n", r'line 2: "0.1,0_1"'),
        (
            "VA",
            "arousal,valence\n0.1,0.2\n",
            r'line 1: header "arousal,valence";\nexpected "valence,arousal"',
        ),
        ("VA", "valence,arousal\n", "has a header and no rows"),
        ("VA", "", 'header ""'),
        ("EXPR", f"{EXPR8}\n8\n", r'line 2: "8"; expected one integer 0..7, or -1'),
        ("EXPR", f"{EXPR8}\n1.5\n", r'line 2: "1.5"'),
        ("EXPR", f"{EXPR8}\n0,0,0,1,0,0,0,0\n", "line 2: 8 values"),
        ("AU", f"{AU12}\n{'0,' * 11}2\n", "line 2: .* expected 12 times 0 or 1"),
        ("AU", f"{AU12}\n{'0,' * 10}0\n", "line 2: 11 values .* expected 12"),
        ("AU", f"{EXPR8}\n0\n", "line 1: header"),
        ("VA", "valence,arousal\n0.5,0\n".encode("utf-16"), "is UTF-16 text; expected UTF-8"),
        ("VA", "valence,arousal\n0.5,0\n".encode("utf-16-le"), "a zero byte at byte 1: UTF-16 or binary"),
    ],
)
def test_a_malformed_file_is_refused_with_line_expected_and_found(tmp_path, task, text, message):
    with pytest.raises(UserError, match=message):
        read_annotation(write(tmp_path / "v.txt", text), task)


@pytest.mark.parametrize(
    ("task", "folder", "train"),
    [
        ("AU", "AU_Set", "Training_Set"),
        ("EXPR", "EXPR_Set", "Train_Set"),
        ("EXPR", "EXPR_Classification_Challenge", "Train_Set"),
        ("EXPR", "EXPR_Recognition_Challenge", "Train_Set"),
        ("VA", "VA_Estimation_Challenge", "Train_Set"),
        ("AU", "AU_Detection_Challenge", "Train_Set"),
    ],
)
def test_the_folders_of_every_edition(tmp_path, task, folder, train):
    row = {"AU": f"{AU12}\n{'0,' * 11}0\n", "EXPR": f"{EXPR8}\n3\n", "VA": "valence,arousal\n0,0\n"}[task]
    write(tmp_path / folder / train / "b_left.txt", row)
    write(tmp_path / folder / train / ".b.txt", "junk")
    write(tmp_path / folder / "Validation_Set/a.txt", row)
    for root in (tmp_path, tmp_path / folder):
        found = read_annotation_set(root, task)
        assert [(t, a.subset) for t, a in found.items()] == [("a", "validation"), ("b_left", "train")]
    assert list(read_annotation_set(tmp_path / folder / "Validation_Set", task)) == ["a"]
    assert read_annotation_set(tmp_path / folder / train, task)["b_left"].subset == "train"


def test_a_set_is_refused_where_it_is_not_clear(tmp_path):
    with pytest.raises(UserError, match="No annotation folder"):
        read_annotation_set(tmp_path / "none", "VA")
    va = "valence,arousal\n0,0\n"
    write(tmp_path / "VA_Estimation_Challenge/Train_Set/a.txt", va)
    with pytest.raises(UserError, match=r"No EXPR annotations .* It has those of VA"):
        read_annotation_set(tmp_path, "EXPR")
    write(tmp_path / "VA_Estimation_Challenge/Validation_Set/a.txt", va)
    with pytest.raises(UserError, match="Track a has two annotations"):
        read_annotation_set(tmp_path, "VA")
    write(tmp_path / "VA_Set/Train_Set/a.txt", va)
    with pytest.raises(UserError, match="two VA folders, VA_Set and VA_Estimation_Challenge"):
        read_annotation_set(tmp_path, "VA")


def test_official_rows_are_those_of_the_files(tmp_path):
    write(tmp_path / "VA_Estimation_Challenge/Train_Set/a.txt", "valence,arousal\n0,0\n0,0\n\n")
    write(tmp_path / "EXPR_Recognition_Challenge/Train_Set/a.txt", f"{EXPR8}\n0\n1\n2")
    write(tmp_path / "EXPR_Recognition_Challenge/Validation_Set/b.txt", f"{EXPR8}\n0\n")
    assert official_rows(tmp_path) == {"a": 3, "b": 1}
    assert official_rows(tmp_path, "VA") == {"a": 2}
    assert row_conflicts(tmp_path) == {"a": {"EXPR": 3, "VA": 2}}
    template = write(tmp_path / "t.txt", "image_location,valence,arousal\nz/00001.jpg,\nb/00001.jpg,\n")
    assert list(official_rows(template).items()) == [("z", 1), ("b", 1)]
    assert row_conflicts(template) == {}


@pytest.mark.parametrize("name", ["a,b", "a\nb", " lead", "\udcff\udcfe", "n" * 245, "-o", 'q"'])
def test_a_name_that_no_official_file_can_hold_is_refused(tmp_path, name):
    path = tmp_path / f"{name}.txt"
    path.write_text("valence,arousal\n0.1,0.2\n")
    with pytest.raises(UserError, match="rename it"):
        read_annotation(path, "VA")
