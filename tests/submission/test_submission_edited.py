"""What was changed after it was written is neither packed nor found valid, and `verify` finds it."""

import json
import os
import subprocess
import sys

import h5py
import pytest

from abaw_submit.errors import ProblemsFound
from abaw_submit.store import Stage, write_text
from abaw_submit.submission.expected import expected_rows
from abaw_submit.submission.pack import pack


def abaw(*words, cwd):
    command = [sys.executable, "-m", "abaw_submit", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd)


@pytest.fixture
def made(tmp_path, score_file):
    """VA.txt and VA.zip with their records, made by the commands."""
    rows = {"b": 2, "a": 1}
    template = tmp_path / "template.txt"
    lines = [f"{t}/{row:05d}.jpg," for t, n in rows.items() for row in range(1, n + 1)]
    template.write_text("image_location,valence,arousal\n" + "\n".join(lines) + "\n")
    from abaw_submit.scores.files import Scores
    from abaw_submit.tasks import VA

    scores = score_file("VA", Scores(VA, {"a": [[0.5, 0.25]], "b": [[0.1, 0.2], [0.3, 0.4]]}))
    out = tmp_path / "out"
    out.mkdir()
    words = ["--task", "VA", "--template", template]
    assert abaw("format", *words, "--scores", scores, "--out", "VA.txt", cwd=out).returncode == 0
    assert abaw("pack", "VA.txt", *words, "--out", "VA.zip", cwd=out).returncode == 0
    return out, words


def edit(path, old, new):
    data = path.read_bytes()
    assert len(old) == len(new)
    assert old in data
    path.write_bytes(data.replace(old, new))
    os.utime(path, (1, 1))


def test_an_edited_file_is_not_packed_and_not_valid(made):
    out, words = made
    edit(out / "VA.txt", b"0.500000", b"0.600000")
    before = (out / "VA.zip").read_bytes()
    packed = abaw("pack", "VA.txt", *words, "--out", "VA.zip", cwd=out)
    assert packed.returncode == 1
    assert "VA.txt is changed since `format` wrote it" in packed.stderr
    assert (out / "VA.zip").read_bytes() == before
    checked = abaw("check", "VA.txt", *words, cwd=out)
    assert (checked.returncode, "problem: edited (1)" in checked.stdout) == (1, True)
    (out / "VA.txt.record.json").unlink()  # the change is wanted
    assert abaw("check", "VA.txt", *words, cwd=out).returncode == 0
    assert abaw("pack", "VA.txt", *words, "--out", "new.zip", cwd=out).returncode == 0


def test_an_edited_file_is_not_packed_by_the_library_either(made):
    out, words = made
    asked = expected_rows("VA", words[-1])
    edit(out / "VA.txt", b"0.500000", b"0.600000")
    with pytest.raises(ProblemsFound, match=r"VA\.txt is changed since `format` wrote it"):
        pack([out / "VA.txt"], out / "new.zip", "VA", asked)
    assert not (out / "new.zip").exists()


def test_one_edited_file_of_a_folder_is_not_packed(tmp_path):
    with Stage("format", tmp_path / "VA", settings={}, inputs=[]) as stage:
        for track in ("102", "103"):
            write_text(tmp_path / "VA" / f"{track}.txt", "valence,arousal\n0.5,0.5\n")
        stage.output(tmp_path / "VA")
    (tmp_path / "VA" / "103.txt").write_text("valence,arousal\n0.5,0.6\n")
    with pytest.raises(ProblemsFound, match=r"103\.txt is changed since `format` wrote it"):
        pack([tmp_path / "VA" / "103.txt"], tmp_path / "new.zip", "VA")
    assert pack([tmp_path / "VA" / "102.txt"], tmp_path / "new.zip", "VA").ok


def test_an_edited_zip_is_not_valid_and_is_packed_again(made):
    out, words = made
    before = (out / "VA.zip").read_bytes()
    edit(out / "VA.zip", b"\x00\x00!\x00", b"\x00\x00\x22\x00")  # the dates of its entries
    assert "problem: edited" in abaw("check", "VA.zip", *words, cwd=out).stdout
    assert abaw("pack", "VA.txt", *words, "--out", "VA.zip", cwd=out).returncode == 0
    assert (out / "VA.zip").read_bytes() == before


def test_verify_reads_every_recorded_file(made):
    out, _ = made
    whole = abaw("verify", ".", cwd=out)
    assert (whole.returncode, whole.stdout) == (0, ".: 2 records, 3 files read.\n")
    edit(out / "VA.txt", b"0.500000", b"0.600000")
    (out / "VA.zip.json").unlink()
    told = abaw("verify", ".", "--json", cwd=out)
    assert told.returncode == 1
    assert json.loads(told.stdout)["problems"] == [
        "VA.txt: changed since `format` wrote it",
        "VA.zip.json: missing",
    ]
    assert abaw("verify", "nosuch", cwd=out).returncode == 2


def test_verify_reads_the_pictures_of_crops(tmp_path):
    from abaw_submit.store import Stage, write_json

    folder = tmp_path / "work" / "run" / "crops"
    with Stage("crop", folder, settings={}, inputs=[]) as stage:
        import hashlib

        write_json(folder / "102" / "crops.json", {"sha256": hashlib.sha256(b"onetwo").hexdigest()})
        stage.output(folder / "102" / "crops.json")
    (folder / "102" / "00001.jpg").write_bytes(b"one")
    (folder / "102" / "00002.jpg").write_bytes(b"two")
    assert abaw("verify", "run", cwd=tmp_path).returncode == 0
    (folder / "102" / "00002.jpg").write_bytes(b"TWO")
    answer = abaw("verify", "run", cwd=tmp_path)
    assert (answer.returncode, "the pictures are not those `crop` wrote" in answer.stdout) == (1, True)


def test_features_zeroed_in_place_are_refused_by_the_next_stage_and_made_again(tmp_path, make_crops):
    from abaw_submit.errors import UserError
    from abaw_submit.features.extract import extract
    from abaw_submit.features.job import Extraction
    from abaw_submit.store import identify

    make_crops(tmp_path / "crops" / "102", rows=6)
    (tmp_path / "colour.py").write_text(
        "class Colour:\n    kind, needs_weights, identity = 'visual', False, 'c'\n    dim, size_px = 3, 8\n"
        "    def __call__(self, images):\n        return images.mean(axis=(1, 2))\n"
    )
    sys.path.insert(0, str(tmp_path))
    try:
        job = Extraction("colour:Colour", tmp_path / "out")
        extract(job, tmp_path / "crops")
        whole = (tmp_path / "out" / "102.h5").read_bytes()
        with h5py.File(tmp_path / "out" / "102.h5", "a") as file:
            file["values"][:] = 0
        with pytest.raises(UserError, match=r"102.h5 is changed since `extract` made"):
            identify(tmp_path / "out")
        report = extract(job, tmp_path / "crops")
    finally:
        sys.path.remove(str(tmp_path))
    assert [r.track for r in report.results if r.written] == ["102"]
    assert (tmp_path / "out" / "102.h5").read_bytes() == whole
