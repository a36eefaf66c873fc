"""Tracks named by list, template, annotation folder, one by one, or by shard."""

import pytest

from abaw_submit.corpus.mtl import write_mtl
from abaw_submit.corpus.templates import write_template
from abaw_submit.corpus.tracklists import known_tests, named_tracks, read_tracks, take_shard
from abaw_submit.errors import UserError
from abaw_submit.tasks import AU, EXPR, VA


@pytest.mark.parametrize("task", [AU, EXPR, VA])
@pytest.mark.parametrize("dummy", [False, True])
def test_a_template_gives_rows(tmp_path, task, dummy):
    write_template(tmp_path / "t.txt", {"video2": 3, "102": 1}, task, dummy)
    assert read_tracks(tmp_path / "t.txt") == {"video2": 3, "102": 1}


def test_a_list_gives_names_alone_and_may_begin_with_a_mark_and_a_blank(tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes(b"\xef\xbb\xbfvideo2\r\n102_left\r\n\r\n")
    assert read_tracks(path) == {"video2": None, "102_left": None}


def test_what_is_neither_is_refused(tmp_path):
    for text in ("", "a b/c\n", "video2\n102,1\n"):
        (tmp_path / "x.txt").write_text(text)
        with pytest.raises(UserError, match=r"x\.txt"):
            read_tracks(tmp_path / "x.txt")


def test_names_come_from_everywhere_each_once_in_order(tmp_path):
    (tmp_path / "annotations" / "Train_Set").mkdir(parents=True)
    (tmp_path / "annotations" / "Train_Set" / "b.txt").write_text("")
    (tmp_path / "list.txt").write_text("c\na\n")
    assert named_tracks([str(tmp_path / "annotations"), str(tmp_path / "list.txt"), "b", "d"]) == list("abcd")


def test_shards_are_together_everything_once():
    items = list(range(11))
    parts = [take_shard(items, f"{k}/4") for k in (1, 2, 3, 4)]
    assert sorted(x for part in parts for x in part) == items


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "1/0", "a/b", "-1/2", ""])
def test_a_shard_that_is_none_is_refused(shard):
    with pytest.raises(UserError, match="expected i/n"):
        take_shard(["a"], shard)


class TestTestsKnown:
    """Of how many tasks the test tracks are known: lists of one task are not those of two."""

    @pytest.fixture
    def lists(self, tmp_path):
        found = {}
        for task, tracks in ((AU, ["1"]), (EXPR, ["2"]), (VA, ["1", "2"])):
            found[task.name] = tmp_path / f"{task.key}.txt"
            write_template(found[task.name], dict.fromkeys(tracks, 2), task)
        for name, text in (("names", "1\n2\n"), ("same", "2\n1\n\n"), ("other", "3\n")):
            found[name] = tmp_path / f"{name}.txt"
            found[name].write_text(text)
        found["mtl"] = tmp_path / "mtl.txt"
        write_mtl(found["mtl"], [("1", 1, []), ("1", 2, [])])
        return found

    @pytest.mark.parametrize(
        ("given", "known"),
        [
            ("AU EXPR VA", 3),
            ("AU AU AU", 1),
            ("AU EXPR", 2),
            ("AU names", 2),
            ("names same", 1),
            ("names other AU", 3),
            ("names other AU EXPR VA", 3),
            ("mtl", 0),
            ("mtl AU", 1),
            ("", 0),
        ],
    )
    def test_known(self, lists, given, known):
        assert known_tests([lists[name] for name in given.split()]) == known
