"""The commands: exit codes, JSON, and what a user reads."""

import json

import pytest
from click.testing import CliRunner

from abaw_submit.cli import cli
from abaw_submit.corpus.ledger import Ledger, write_ledger
from abaw_submit.corpus.templates import read_template
from abaw_submit.submission.expected import task_of_template
from abaw_submit.tasks import TASKS


def run(*args):
    return CliRunner().invoke(cli, [str(a) for a in args])


@pytest.fixture
def va(tmp_path, golden, score_file):
    template = golden / "edition_6/VA_sample.txt"
    out = tmp_path / "va.txt"
    result = run("format", "--task", "VA", "--scores", score_file("VA"), "--template", template, "--out", out)
    assert result.output == f"Wrote {out}: 5 rows of 2 tracks.\n"
    return out, template


def test_format_is_not_done_twice(va, tmp_path):
    out, template = va
    args = ["--task", "VA", "--scores", tmp_path / "VA.h5", "--template", template, "--out", out]
    assert run("format", *args).output == f"{out} is up to date.\n"


def test_check_says_ok_and_exits_0(va):
    out, template = va
    result = run("check", out, "--task", "va", "--template", template)
    assert result.exit_code == 0
    assert result.output.splitlines()[0] == f"{out}: VA, single file; 1 file, 2 tracks, 5 rows"
    assert result.output.splitlines()[-1] == "OK"


def test_check_exits_1_with_problems(va):
    out, template = va
    out.write_text(out.read_text().replace("0.500000", "nan"))
    result = run("check", out, "--task", "VA", "--template", template)
    assert result.exit_code == 1
    assert "problem: NaN (1): each value is finite" in result.output
    assert 'va.txt, line 4: valence is "nan"' in result.output
    assert "10-60-1280x720_right, 3, 3, 1," in result.output


def test_check_answers_in_json_and_nothing_else(va):
    out, template = va
    result = run("check", out, "--task", "VA", "--template", template, "--json")
    told = json.loads(result.stdout)
    assert (told["ok"], told["dialect"], told["rows"], len(told["tracks"])) == (True, "single file", 5, 2)


def test_wrong_usage_is_exit_2(va, tmp_path):
    out, template = va
    assert run("check", tmp_path / "none", "--task", "VA", "--template", template).exit_code == 2
    other = tmp_path / "other.txt"  # not what `format` wrote, so nothing is known of it
    other.write_text(out.read_text())
    for args, told in (
        (["check", other], "Nothing says which task"),
        (["check", other, "--task", "VA"], "Nothing to check against"),
        (["check", out, "--task", "AU", "--template", template], "is a template of VA"),
    ):
        error = run(*args).exception
        assert error.exit_code == 2
        assert told in str(error)


def test_check_asks_only_what_nothing_tells(va, tmp_path, golden):
    out, template = va
    assert run("check", out).output.splitlines()[-1] == "OK"  # `format` noted the template
    other = tmp_path / "other.txt"
    other.write_text(out.read_text())
    assert run("check", other, "--template", template).output.startswith(f"{other}: VA, single file")
    headerless = tmp_path / "headerless.txt"
    headerless.write_text("".join(template.read_text().splitlines(keepends=True)[1:]))
    error = run("check", other, "--template", headerless).exception
    assert "Nothing says which task" in str(error)


def test_a_template_with_another_tasks_header_does_not_tell_the_task(tmp_path):
    odd = tmp_path / "odd.txt"  # as was handed out once: the header of EXPR over a value for each AU
    odd.write_text(f"image_location,{TASKS['EXPR'].header()}\na/00001.jpg,{','.join('0' * 12)}\n")
    assert task_of_template(odd) is None
    odd.write_text(f"image_location,{TASKS['EXPR'].header()}\na/00001.jpg,0\n")
    assert task_of_template(odd) == "EXPR"  # the official example: one integer under nine names


def test_pack_says_what_to_upload_and_does_not_guess_an_edition(va, tmp_path):
    result = run("pack", va[0], "--out", tmp_path / "va.zip")
    assert result.output.splitlines()[0].startswith(f"{tmp_path / 'va.zip'} is what to upload; va.zip.json")
    assert result.output.splitlines()[-1] == "OK"
    assert json.loads((tmp_path / "va.zip.json").read_text())["edition"] is None
    (tmp_path / "va.zip").unlink()
    assert run("pack", va[0]).exit_code == 0
    assert (tmp_path / "va.zip").is_file()
    assert "no name for the zip" in str(run("pack", va[0], va[0]).exception)


def test_pack_knows_what_format_was_asked_for(va, tmp_path):
    out, _ = va
    result = run("pack", out, "--out", tmp_path / "va.zip")
    assert result.exit_code == 0
    assert "Completeness was not checked" not in result.output
    text = out.read_text().splitlines(keepends=True)
    out.write_text("".join(text[:-1]))  # changed by hand: nothing is known about it any more
    error = run("pack", out, "--out", tmp_path / "va.zip").exception
    assert "Nothing says which task" in str(error)
    result = run("pack", out, "--out", tmp_path / "va.zip", "--task", "VA")
    assert result.exit_code == 1
    assert "is changed since" in str(result.exception)
    out.with_name(out.name + ".record.json").unlink()  # as the message says: a file of one's own from now on
    result = run("pack", out, "--out", tmp_path / "va.zip", "--task", "VA")
    assert result.exit_code == 0, result.exception
    assert "Completeness was not checked" in result.output


def test_pack_refuses_another_task(va, tmp_path):
    error = run("pack", va[0], "--out", tmp_path / "va.zip", "--task", "AU").exception
    assert "was written for VA; --task says AU" in str(error)


def test_template_from_crops(tmp_path):
    import numpy as np

    for track, rows in {"video9": 3, "a_left": 2}.items():
        zero, numbers = np.zeros(rows), np.arange(1, rows + 1)
        none = np.array(["none"] * rows)
        ledger = Ledger(numbers, numbers / 25, np.zeros(rows, bool), zero, zero, zero, zero, zero, none)
        (tmp_path / "crops" / track).mkdir(parents=True)
        write_ledger(tmp_path / "crops" / track / "ledger.csv", ledger)
    args = ["template", "--task", "EXPR", "--crops", tmp_path / "crops", "--out", tmp_path / "t.txt"]
    assert run(*args).output == f"Wrote {tmp_path / 't.txt'}: 5 rows of 2 tracks.\n"
    read = read_template(tmp_path / "t.txt")
    assert (list(read.tracks.items()), read.task.name) == ([("a_left", 2), ("video9", 3)], "EXPR")
    assert run(*args).output == f"{tmp_path / 't.txt'} is up to date.\n"
    (tmp_path / "none").mkdir()
    error = run(
        "template", "--task", "VA", "--crops", tmp_path / "none", "--out", tmp_path / "t.txt"
    ).exception
    assert "No <track>/ledger.csv" in str(error)
