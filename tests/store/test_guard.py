"""A stage touches nothing but what it reads and its own output."""

import os

import pytest

from abaw_submit.errors import UserError
from abaw_submit.scores.files import Scores, write_scores
from abaw_submit.store import RECORDED, Stage, atomic_path, guard, read_record, write_text
from abaw_submit.tasks import VA


def stage(out, name="copy", inputs=(), **more):
    return Stage(name, out, settings=more.pop("settings", {}), inputs=inputs, **more)


def make(out, name="copy", inputs=(), text="a", **more):
    one = stage(out, name, inputs, **more)
    if one.done():
        return False
    with one:
        path = out if out.suffix else out / "a.txt"
        write_text(path, text)
        one.output(path)
    return True


def tree(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_folder_with_foreign_files_is_refused_and_left_alone(tmp_path):
    out = tmp_path / "thesis"
    write_text(out / "thesis.tex", "years")
    with pytest.raises(UserError, match=r"holds thesis.tex, and no record says that `copy` made it"):
        stage(out)
    assert tree(tmp_path) == {"thesis/thesis.tex": b"years"}


def test_a_folder_of_another_stage_is_refused(tmp_path):
    make(tmp_path / "fold_0", "train")
    before = tree(tmp_path)
    with pytest.raises(UserError, match="was made by `train`; `predict` would overwrite it"):
        stage(tmp_path / "fold_0", "predict")
    assert tree(tmp_path) == before


def test_a_file_without_a_record_is_refused_an_empty_or_own_one_is_not(tmp_path):
    out = tmp_path / "va.txt"
    write_text(out, "mine")
    with pytest.raises(UserError, match="is there already, and no record says that `copy` made it"):
        stage(out)
    assert out.read_text() == "mine"
    out.write_text("")
    assert make(out)
    assert make(out, text="b", settings={"x": 1})
    assert out.read_text() == "b"
    with pytest.raises(UserError, match="was made by `copy`"):
        stage(out, "format")


def test_a_file_that_another_stage_recorded_in_its_folder_is_refused(tmp_path):
    make(tmp_path / "fold_0", "train")
    with pytest.raises(UserError, match="was made by `train`"):
        stage(tmp_path / "fold_0" / "a.txt", "apply")


def test_an_output_that_is_no_regular_file_is_refused(tmp_path):
    with pytest.raises(UserError, match="not a regular file"):
        stage("/dev/null")
    (tmp_path / "a.txt").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UserError, match="link to nothing"):
        stage(tmp_path / "a.txt")


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("in", "is what is read"),
        ("in/deep/out", "lies inside what is read"),
        (".", "holds what is read"),
        ("link", "is what is read"),
        ("in/../in", "is what is read"),
    ],
)
def test_an_output_in_the_way_of_an_input_is_refused(tmp_path, out, message):
    write_text(tmp_path / "in" / "a.txt", "a")
    (tmp_path / "link").symlink_to(tmp_path / "in")
    for where in ({"inputs": [tmp_path / "in"]}, {"reads": [tmp_path / "in"]}):
        with pytest.raises(UserError, match=message):
            stage(tmp_path / out, **where)
    assert tree(tmp_path / "in") == {"a.txt": b"a"}


def test_a_folder_replaced_as_a_whole_keeps_what_somebody_put_into_it(tmp_path):
    scores, out = Scores(VA, {"a": [[0, 0]]}), tmp_path / "scores"
    one = stage(out)
    with one:
        write_scores(out, scores)
        one.output(out / "a.txt")
    with stage(out, settings={"x": 1}) as one:  # its own files are replaced
        write_scores(out, Scores(VA, {"b": [[0, 0]]}))
        one.output(out / "b.txt")
    assert [p.name for p in sorted(out.iterdir())] == ["b.txt", "record.json"]
    write_text(out / "notes.txt", "mine")
    with pytest.raises(UserError, match=r"holds notes.txt, which would be lost"), stage(out):
        write_scores(out, scores)
    assert (out / "notes.txt").read_text() == "mine"


def test_a_folder_written_before_the_kill_is_known_again(tmp_path):
    """Killed between writing the folder and the record: the next run may replace what the last one wrote."""
    out = tmp_path / "scores"
    stage(out).__enter__()
    with atomic_path(out, RECORDED) as temporary:
        temporary.mkdir()
        (temporary / "a.txt").write_text("a")
    with stage(out), atomic_path(out, RECORDED) as temporary:
        temporary.mkdir()
        (temporary / "b.txt").write_text("b")
    assert sorted(p.name for p in out.iterdir()) == ["b.txt", "record.json"]


def test_a_damaged_record_is_no_record(tmp_path):
    make(tmp_path / "out")
    for damage in ('{"digest": 1}', "[" * 100_000, "\ud800".encode("utf-8", "surrogatepass")):
        (tmp_path / "out" / "record.json").write_bytes(
            damage if isinstance(damage, bytes) else damage.encode()
        )
        assert read_record(tmp_path / "out") is None


def test_an_output_may_lie_beside_what_is_looked_for_in_a_folder(tmp_path):
    """`crop . --out crops`: of the folder that is searched for videos, only those and itself are read."""
    write_text(tmp_path / "videos" / "sub" / "a.mp4", "a")
    where = {"inputs": [tmp_path / "videos" / "sub" / "a.mp4"], "searches": [tmp_path / "videos"]}
    one = stage(tmp_path / "videos" / "crops", **where)
    with one:
        write_text(one.out / "x.txt", "x")
        one.output(one.out / "x.txt")
    for out, message in (
        ("videos", "holds what is read"),
        ("videos/sub", "holds what is read"),
        ("videos/sub/a.mp4", "is what is read"),
        (".", "holds what is read"),
    ):
        with pytest.raises(UserError, match=message):
            stage(tmp_path / out, **where)
    with pytest.raises(UserError, match="lies inside what is read"):
        stage(tmp_path / "videos" / "crops2", **{**where, "reads": [tmp_path / "videos"]})


def test_an_input_under_another_name_is_still_the_input(tmp_path):
    """A hard link here; elsewhere a mount, or a disk that takes capitals for small letters."""
    write_text(tmp_path / "in.txt", "a")
    (tmp_path / "other").mkdir()
    os.link(tmp_path / "in.txt", tmp_path / "other" / "out.txt")
    with pytest.raises(UserError, match="is what is read"):
        stage(tmp_path / "other" / "out.txt", inputs=[tmp_path / "in.txt"])


def test_a_folder_mounted_twice_is_one_folder(tmp_path, monkeypatch):
    write_text(tmp_path / "in" / "deep" / "a.txt", "a")
    (tmp_path / "again" / "deep").mkdir(parents=True)
    real = guard._place
    same = {tmp_path / "again": tmp_path / "in", tmp_path / "again" / "deep": tmp_path / "in" / "deep"}
    monkeypatch.setattr(guard, "_place", lambda path: real(same.get(path, path)))
    for out, source, message in (
        ("again", "in", "is what is read"),
        ("again/deep/new", "in", "lies inside what is read"),
        ("again", "in/deep", "holds what is read"),
    ):
        with pytest.raises(UserError, match=message):
            stage(tmp_path / out, inputs=[tmp_path / source])
