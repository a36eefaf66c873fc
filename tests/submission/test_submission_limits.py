"""Hostile submissions: each is answered in seconds, in little memory, in words."""

import os
import resource
import subprocess
import sys
import zipfile

import pytest

MEMORY_MIB = 1024
ABAW = [sys.executable, "-m", "abaw_submit"]
HEADER = b"image_location,valence,arousal\n"


@pytest.fixture
def template(tmp_path):
    path = tmp_path / "template.txt"
    path.write_bytes(HEADER + b"".join(b"a/%05d.jpg,\n" % row for row in range(1, 4)))
    return path


@pytest.fixture
def check(template):
    def run(target, *more, command="check"):
        limit = (MEMORY_MIB << 20, MEMORY_MIB << 20)
        return subprocess.run(
            [
                sys.executable,
                "-m",
                "abaw_submit",
                command,
                target,
                *more,
                "--task",
                "VA",
                "--template",
                template,
            ],
            capture_output=True,
            text=True,
            timeout=60,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, limit),
        )

    return run


def written(path, members, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


def ok(answer, *words, code=1):
    assert answer.returncode == code, answer.stderr
    assert "Traceback" not in answer.stderr
    assert "should not have happened" not in answer.stderr
    for word in words:
        assert word in answer.stdout + answer.stderr


def test_a_zip_of_newlines(tmp_path, check):
    ok(check(written(tmp_path / "va.zip", [("va.txt", b"\n" * (1 << 27))])), "encoding", "134,217,728 lines")


def test_a_bomb(tmp_path, check):
    many = [(f"{k}.txt", b"0" * (1 << 27)) for k in range(6)]
    ok(check(written(tmp_path / "va.zip", many)), "limit", "unpacks to more than")


def test_a_file_that_unpacks_to_more_than_it_says(tmp_path, check):
    path = written(tmp_path / "va.zip", [("va.txt", b"0" * (1 << 20))])
    data = path.read_bytes().replace((1 << 20).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    path.write_bytes(data)
    ok(check(path), "NOT VALID")


def test_three_thousand_members_in_seconds(tmp_path, check):
    rows = HEADER + b"".join(b"a/%05d.jpg,0.1,0.2\n" % row for row in range(1, 4))
    answer = check(written(tmp_path / "va.zip", [(f"{k}.txt", rows) for k in range(3000)]))
    ok(answer, "limit", "3000 files, of which the first 20 were checked", "several submissions")
    tracks = [(f"t{k}.txt", b"valence,arousal\n0.1,0.2\n0.2,0.3\n") for k in range(3000)]
    names = tmp_path / "list.txt"
    names.write_text("".join(f"t{k}\n" for k in range(3000)))
    path = written(tmp_path / "tracks.zip", tracks)
    command = [sys.executable, "-m", "abaw_submit", "check", path, "--task", "VA", "--tracks", names]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60)
    ok(answer, "3,000 files", "6,000 rows", "OK", code=0)


def test_a_list_of_contents_without_end(tmp_path, check):
    path = written(tmp_path / "va.zip", [(f"{k:0200}.txt", b"") for k in range(20_000)], zipfile.ZIP_STORED)
    ok(check(path), "limit", "a list of contents of")


def test_a_huge_header(tmp_path, check, template):
    path = tmp_path / "va.txt"
    path.write_bytes(b"image_location," + b"x" * (1 << 27) + b"\na/00001.jpg,0.1,0.2\n")
    answer = check(path)
    ok(answer, "header")
    assert len(answer.stdout) < 5000
    template.write_bytes(path.read_bytes())  # the same as a template: two rows are missing, nothing more
    answer = check(written(tmp_path / "v.zip", [("va.txt", HEADER + b"a/00001.jpg,0.1,0.2\n")]))
    assert answer.returncode in (0, 1)


def test_a_line_of_spaces_does_not_take_for_ever(tmp_path, check):
    path = tmp_path / "va.txt"
    path.write_bytes(HEADER + (b"x" + b" " * 100_000 + b"/,\n") * 50)
    ok(check(path), "location")


def test_what_is_larger_than_any_submission(tmp_path, check):
    path = tmp_path / "va.txt"
    with path.open("wb") as handle:
        handle.truncate(1 << 40)  # a hole: takes no room
    ok(check(path), "is not read")
    ok(check(path, "--out", tmp_path / "va.zip", command="pack"), "no submission file does", code=2)


@pytest.mark.parametrize("what", ["fifo", "zero", "folder of fifo"])
def test_no_regular_file(tmp_path, check, what):
    target = tmp_path / "va.txt"
    if what == "zero":
        target.symlink_to("/dev/zero")
    elif what == "fifo":
        os.mkfifo(target)
    else:
        (tmp_path / "folder").mkdir()
        os.mkfifo(tmp_path / "folder" / "a.txt")
        target = tmp_path / "folder"
    ok(check(target), "not a regular file", code=1 if what == "folder of fifo" else 2)
