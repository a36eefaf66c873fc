"""The ambivalence track: exact probabilities, template order, and every mistake named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from abaw_submit.cli import cli
from abaw_submit.corpus.videolist import read_video_labels, read_video_list
from abaw_submit.errors import UserError
from abaw_submit.scores.files import Scores, read_scores, write_scores
from abaw_submit.submission.check import check
from abaw_submit.submission.expected import expected_rows
from abaw_submit.submission.videos import DECIMALS, video_line
from abaw_submit.tasks import AH

IDS = ["82711_Q4.mp4", "part/102_Q1", "102"]


@pytest.fixture
def template(tmp_path: Path) -> Path:
    path = tmp_path / "template.txt"
    path.write_text("".join(f"{name},\n" for name in IDS))
    return path


@pytest.fixture
def scores(tmp_path: Path) -> Path:
    tracks = dict(zip(IDS, (0.7, 1 / 3, 0.49999999), strict=True)) | {"other": 0.1}
    write_scores(tmp_path / "ah.h5", Scores(AH, {k: np.array([[v]], np.float32) for k, v in tracks.items()}))
    return tmp_path / "ah.h5"


def run(*words: object, code: int = 0) -> str:
    result = CliRunner().invoke(cli, [str(w) for w in words], standalone_mode=True)
    if isinstance(result.exception, UserError):
        return str(result.exception)
    assert result.exit_code == code, result.output
    return result.output


def kinds(text: str, tmp_path: Path, template: Path | None = None) -> dict[str, int]:
    (tmp_path / "x.txt").write_text(text)
    report = check(tmp_path / "x.txt", "AH", expected_rows("AH", template) if template else None)
    return {f.kind: f.count for f in [*report.problems, *report.warnings]}


def test_two_printed_probabilities_add_up_to_one_exactly_for_every_value() -> None:
    millionths = np.arange(10**DECIMALS + 1)
    sums = (10**DECIMALS - millionths) / 10**DECIMALS + millionths / 10**DECIMALS
    assert (sums == 1).all()  # a correctly rounded quotient is what float() reads from the decimals
    for value in (0, 1, 1 / 3, 0.1, 0.7, 0.999_999_6, 1e-9, float(np.float32(0.3))):
        _, p0, p1, label = video_line("v", value, True).split(",")
        assert float(p0) + float(p1) == 1
        assert abs(float(p1) - value) <= 0.5e-6 + 1e-12
        assert label == str(int(float(p1) >= float(p0)))


@pytest.mark.parametrize("form", [(), ("--probabilities",)])
def test_format_check_and_pack_end_to_end(
    tmp_path: Path, template: Path, scores: Path, form: tuple[str, ...]
) -> None:
    out = tmp_path / "ah.txt"
    told = run("format", "--task", "AH", "--scores", scores, "--template", template, "--out", out, *form)
    assert "3 rows" in told
    assert "1 tracks with scores, other first" in told
    expected = (
        ["82711_Q4.mp4,0.300000,0.700000,1", "part/102_Q1,0.666667,0.333333,0", "102,0.500000,0.500000,1"]
        if form
        else ["82711_Q4.mp4,1", "part/102_Q1,0", "102,1"]
    )
    assert out.read_text() == "\n".join(expected) + "\n"
    assert run("check", out, "--task", "AH", "--template", template).endswith("OK\n")
    assert run("pack", out, "--out", tmp_path / "ah.zip").endswith("OK\n")


def test_what_cannot_be_written_is_named(tmp_path: Path, template: Path, scores: Path) -> None:
    words = ("--template", template, "--out", tmp_path / "ah.txt")
    read = dict(read_scores(scores))
    for change, message in (
        ({"102": None}, "Video 102 has no AH score"),
        ({"102": [[0.1], [0.2]]}, "2 rows of AH scores; expected 1"),
        ({"102": [[float("nan")]]}, "the AH score is nan; expected 0 to 1"),
        ({"102": [[1.5]]}, "the AH score is 1.5; expected 0 to 1"),
    ):
        tracks = {k: v for k, v in {**read, **change}.items() if v is not None}
        write_scores(tmp_path / "bad.h5", Scores(AH, {k: np.array(v, np.float32) for k, v in tracks.items()}))
        assert message in run("format", "--task", "AH", "--scores", tmp_path / "bad.h5", *words, code=1)
    assert not (tmp_path / "ah.txt").exists()
    assert "expected AH" in run("format", "--task", "AH", "--scores", va_scores(tmp_path), *words, code=1)
    told = run(
        "format", "--task", "VA", "--probabilities", "--scores", scores, "--template", template, "--out", "x",
        code=1,
    )  # fmt: skip
    assert "only AH" in told


def va_scores(tmp_path: Path) -> Path:
    from abaw_submit.tasks import VA

    write_scores(tmp_path / "va.h5", Scores(VA, {"102": np.zeros((2, 2), np.float32)}))
    return tmp_path / "va.h5"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a,1\nb,0\n", {}),
        ("a,0.25,0.75,1\nb,0.75,0.25,0\n", {}),
        ("b,1\na,0\n", {"order": 1}),
        ("a,1\n", {"missing row": 1}),
        ("a,1\na,1\nb,0\n", {"double row": 1}),
        ("a,1\nb,0\nc,0\n", {"unknown track": 1}),
        ("id,label\na,1\nb,0\n", {"video header": 1}),
        ("a,1\nb,0.5,0.5,0\n", {"column count": 1, "label against probability": 1}),
        ("a,1,0\nb,0\n", {"column count": 1}),
        ("a,1.0\nb,0\n", {"not an integer": 1}),
        ("a,\nb,0\n", {"empty value": 1}),
        ("a,0.3,0.7000001,1\nb,0.5,0.5,1\n", {"probabilities": 1}),
        ("a,0.1,0.2,0\nb,nan,0.5,1\n", {"probabilities": 1, "number syntax": 1}),
        ("a,-0.5,1.5,1\nb,0.5,0.5,1\n", {"number syntax": 1}),
        ("a,0.9,0.1,1\nb,0.9,0.1,0\n", {"label against probability": 1}),
        ("a, 1\nb,0\n", {"not an integer": 1}),
        ("a,0\nb,0\n", {"constant column": 1}),
        ("a,1\n\nb,0\n", {"blank line": 1}),
        ("a,1\r\nb,0\r\n", {"line ending": 2}),
    ],
)
def test_check_finds(tmp_path: Path, text: str, found: dict[str, int]) -> None:
    (tmp_path / "t.txt").write_text("a\nb\n")
    (tmp_path / "x.txt").write_bytes(text.encode())
    report = check(tmp_path / "x.txt", "AH", expected_rows("AH", tmp_path / "t.txt"))
    assert {f.kind: f.count for f in [*report.problems, *report.warnings]} == found


def test_lists_are_read_right_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    for text, labels in (
        ("a\nb\n", {"a": None, "b": None}),
        ("a,\r\nb,1\r\n\r\n", {"a": None, "b": 1}),
        ("\ufeffa, 0.2,0.8, 1\n", {"a": 1}),
    ):
        path.write_bytes(text.encode())
        assert read_video_list(path).labels == labels
    for text, message in (
        ("id,label\na,1\n", "is a header; these lists have none"),
        ("a,1\na,1\n", "line 2: a again"),
        ("a,2\n", "expected 0 or 1"),
        ("a,1,0\n", "expected id or id,label or id,p0,p1,label"),
        ("a\n\nb\n", "line 2"),
        ("", "is empty"),
    ):
        path.write_text(text)
        with pytest.raises(UserError, match=message):
            read_video_list(path)


def test_labels_of_two_lists_become_annotations_of_one_row(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("b,1\na,0\n")
    with pytest.raises(UserError, match="expected one of validation"):
        read_video_labels(tmp_path)
    (tmp_path / "val.csv").write_text("c,1\n")
    read = read_video_labels(tmp_path)
    assert [(a.track, a.subset, a.values.tolist()) for a in read.values()] == [
        ("a", "train", [[0.0]]),
        ("b", "train", [[1.0]]),
        ("c", "validation", [[1.0]]),
    ]
    (tmp_path / "val.csv").write_text("a,1\n")
    with pytest.raises(UserError, match="a is in"):
        read_video_labels(tmp_path)
    (tmp_path / "val.csv").write_text("c\n")
    with pytest.raises(UserError, match="c has no label"):
        read_video_labels(tmp_path)
