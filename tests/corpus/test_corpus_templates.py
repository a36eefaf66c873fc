"""Templates blank or with dummies, test lists, multi-task lists."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from abaw_submit.corpus.mtl import read_mtl
from abaw_submit.corpus.templates import location_blocks, read_template, write_template
from abaw_submit.corpus.testlists import read_track_list
from abaw_submit.errors import UserError
from abaw_submit.tasks import TASKS, VA

HEADER = "image_location,valence,arousal\n"
names = st.lists(
    st.from_regex(r"[a-z0-9_][a-z0-9_\-]{0,11}", fullmatch=True), min_size=1, max_size=6, unique=True
)


@pytest.mark.parametrize("dummy", [False, True])
@pytest.mark.parametrize("task", ["AU", "EXPR", "VA"])
def test_written_and_read_back_in_the_given_order(tmp_path, task, dummy):
    tracks = {"video9": 3, "10-60-1280x720_right": 1, "102": 2}
    write_template(tmp_path / "t.txt", tracks, TASKS[task], dummy)
    read = read_template(tmp_path / "t.txt")
    assert list(read.tracks.items()) == list(tracks.items())
    assert (read.task, read.edition, read.rows) == (TASKS[task], 10, 6)
    assert read.dummies == ({"AU": 12, "EXPR": 1, "VA": 2}[task] if dummy else 0)
    if not dummy:
        assert (tmp_path / "t.txt").read_text().splitlines()[1:3] == [
            "video9/00001.jpg,",
            "video9/00002.jpg,",
        ]


@given(tracks=names, counts=st.lists(st.integers(1, 40), min_size=6, max_size=6), data=st.data())
def test_values_of_any_width_do_not_matter(tmp_path_factory, tracks, counts, data):
    rows = dict(zip(tracks, counts, strict=False))
    text = HEADER
    for track, count in rows.items():
        for row in range(1, count + 1):
            text += f"{track}/{row:05d}.jpg,{data.draw(st.sampled_from(['', '0.0,0.0', '-0.25,1', ' ']))}\n"
    path = tmp_path_factory.mktemp("t") / "t.txt"
    path.write_text(text)
    assert read_template(path).tracks == rows


@pytest.mark.parametrize(
    "text",
    [
        f"\ufeff{HEADER}a/00001.jpg,\na/00002.jpg,\n",
        f"{HEADER}a/00001.jpg,\na/00002.jpg,\n".replace("\n", "\r\n"),
        f"{HEADER}a/00001.jpg,\na/00002.jpg,\n\n\n",
        f"{HEADER}a/00001.jpg,\na/00002.jpg,",
        f"{HEADER} a/00001.jpg, 0.0, 0.0\na/00002.jpg ,\n",
        "image_location, valence, arousal\na/00001.jpg,\na/00002.jpg,\n",
    ],
)
def test_what_editors_do_is_accepted(tmp_path, text):
    (tmp_path / "t.txt").write_bytes(text.encode())
    read = read_template(tmp_path / "t.txt")
    assert (read.tracks, read.task) == ({"a": 2}, VA)


def test_a_template_without_header(tmp_path):
    (tmp_path / "t.txt").write_text("a/00001.jpg,\n")
    read = read_template(tmp_path / "t.txt")
    assert (read.tracks, read.task, read.header) == ({"a": 1}, None, "")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a/00001.jpg,\na/00003.jpg,\n", "line 3: a row 3; expected row 2"),
        ("a/00002.jpg,\n", "line 2: a begins with row 2; expected 00001"),
        ("a/00001.jpg,\nb/00001.jpg,\na/00001.jpg,\n", "line 4: a row 1 after row 1 and another track"),
        ("a/00001.jpg,\na/00001.jpg,\n", "line 3: a row 1; expected row 2"),
        ("a/00001.jpg\n", r'line 2: found "a/00001.jpg"; expected <track>/<row, 5 digits>.jpg,'),
        ("a,00001.jpg\n", "line 2: found"),
        ("a/00001.jpg,\n\nb/00001.jpg,\n", 'line 3: found ""'),
        ("", "has only a header"),
    ],
)
def test_a_malformed_template_is_refused(tmp_path, rows, message):
    (tmp_path / "t.txt").write_text(HEADER + rows)
    with pytest.raises(UserError, match=message):
        read_template(tmp_path / "t.txt")


def test_a_list_of_tracks_is_no_template(tmp_path):
    (tmp_path / "list.txt").write_text("video9\n102\n")
    with pytest.raises(
        UserError, match=r"line 2: found \"102\".*\nA list of test tracks is given as --tracks"
    ):
        read_template(tmp_path / "list.txt")


def test_rows_beyond_five_digits():
    first, second = location_blocks("v", 100_002)
    assert first[0].tobytes() == b"v/00001.jpg,"
    assert first[-1].tobytes() == b"v/99999.jpg,"
    assert second[-1].tobytes() == b"v/100002.jpg,"
    assert [len(first), len(second)] == [99_999, 3]


def test_a_template_with_more_than_99999_rows_a_track(tmp_path):
    write_template(tmp_path / "t.txt", {"long": 100_001, "b": 1}, VA)
    assert read_template(tmp_path / "t.txt").tracks == {"long": 100_001, "b": 1}


def test_lists_of_test_tracks(tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes("\ufeffvideo9\r\n102 \r\n10-60-1280x720_right\r\n\r\n".encode())
    assert read_track_list(path) == ["video9", "102", "10-60-1280x720_right"]
    for text, message in [
        ("a\n\nb\n", "line 2: blank"),
        ("a\nb\na\n", r"line 3: a again \(first in line 1\)"),
        ("a,b\n", "expected one track name"),
        ("", "is empty"),
    ]:
        path.write_text(text)
        with pytest.raises(UserError, match=message):
            read_track_list(path)


MTL = "image,valence,arousal,expression,aus\n"
ZEROS = ",0" * 12


def test_multi_task_lists_with_duplicates(tmp_path):
    path = tmp_path / "mtl.txt"
    line = f"video45_1/00001.jpg,0.5,-0.25,7{ZEROS}\n"
    path.write_text(f"{MTL}{line}b/00003.jpg,-5,-5,-1{',-1' * 12}\n{line}")
    read = read_mtl(path)
    assert read.locations == [("video45_1", 1), ("b", 3), ("video45_1", 1)]
    assert read.duplicates == 1
    np.testing.assert_array_equal(read.values[0, :4], [0.5, -0.25, 7, 0])
    assert read.valid.tolist() == [[True] * 3, [False] * 3, [True] * 3]


def test_multi_task_lists_to_predict_have_no_values(tmp_path):
    path = tmp_path / "mtl.txt"
    path.write_text(f"{MTL}a/00004.jpg,\na/00009.jpg\n")
    read = read_mtl(path)
    assert read.rows.tolist() == [4, 9]
    assert np.isnan(read.values).all()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (f"a/00001.jpg,0,0,0{ZEROS}\na/00001.jpg,0,0,1{ZEROS}\n", "line 3: a row 1 again, with other labels"),
        (f"a/00001.jpg,0,0,8{ZEROS}\n", "line 2: .* expression -1..7"),
        (f"a/00001.jpg,0,2,0{ZEROS}\n", "line 2: .* valence and arousal"),
        ("a/00001.jpg,0,0,0\n", "line 2: 3 values; expected 15"),
        (f"a/00001.jpg,x,0,0{ZEROS}\n", "expected 15 numbers"),
        ("a-00001.jpg,\n", "expected <track>/<row, 5 digits>.jpg"),
        ("", "has no rows"),
    ],
)
def test_malformed_multi_task_lists_are_refused(tmp_path, rows, message):
    (tmp_path / "mtl.txt").write_text(MTL + rows)
    with pytest.raises(UserError, match=message):
        read_mtl(tmp_path / "mtl.txt")


@pytest.mark.parametrize("name", ["a,b", "a\nb", " lead", "\udcff\udcfe", "n" * 245, "-o", 'q"'])
def test_a_name_that_would_break_the_lines_is_not_written(tmp_path, name):
    with pytest.raises(UserError, match="rename it"):
        write_template(tmp_path / "t.txt", {"102": 3, name: 2}, VA)
    assert not (tmp_path / "t.txt").exists()
