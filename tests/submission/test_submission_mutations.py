"""Break a valid submission in every way seen so far; each break is found, named, and nothing else is said."""

import zipfile

import pytest

from abaw_submit.submission.check import check
from abaw_submit.submission.expected import expected_rows
from abaw_submit.tasks import TASKS

ROWS = {"b-30-640x360": 4, "a_left": 3, "102": 5}
VALUES = {
    "VA": ["0.25,-0.5", "-1,1", "0.000001,0", "1e-3,.5"],
    "EXPR": ["0", "1", "2", "3", "4", "5", "6", "7"],
    "AU": ["0,1,0,1,0,1,0,1,0,1,0,1", "1,0,1,0,1,0,1,0,1,0,1,0", "1,1,1,1,1,1,0,0,0,0,0,0"],
}


def row_texts(task):
    places = [f"{track}/{row:05d}.jpg" for track, rows in ROWS.items() for row in range(1, rows + 1)]
    values = VALUES[task]
    return [f"{place},{values[k % len(values)]}" for k, place in enumerate(places)]


def whole(task):
    return "\n".join(["image_location," + TASKS[task].header(), *row_texts(task)]) + "\n"


def replaced(old, new, count=1):
    return lambda text: text.replace(old, new, count)


def on_lines(change):
    def mutate(text):
        lines = text.splitlines(keepends=True)
        change(lines)
        return "".join(lines)

    return mutate


def swap(lines):
    lines[2], lines[3] = lines[3], lines[2]


def track_last(lines):
    lines[1:] = lines[5:] + lines[1:5]


def on_bytes(change):
    return lambda text: change(text.encode())


FIRST, SECOND = "b-30-640x360/00001.jpg", "b-30-640x360/00002.jpg"
AU_ROW = VALUES["AU"][0]

# name: (task, how to break it, kinds expected, what the first place of the first kind must say)
SINGLE = {
    "dropped row": ("VA", on_lines(lambda x: x.pop(3)), ["missing row"], "b-30-640x360 row 3"),
    "dropped last row": ("VA", on_lines(lambda x: x.pop()), ["missing row"], "102 row 5"),
    "dropped track": (
        "AU",
        on_lines(lambda x: x.__delitem__(slice(5, 8))),
        ["missing row"],
        "a_left row 1: the whole track",
    ),
    "dropped two rows": (
        "EXPR",
        on_lines(lambda x: x.__delitem__(slice(2, 4))),
        ["missing row"],
        "b-30-640x360 row 2: to row 3",
    ),
    "doubled row": (
        "VA",
        on_lines(lambda x: x.insert(3, x[2])),
        ["double row"],
        "line 4, b-30-640x360 row 2",
    ),
    "row again at the end": (
        "AU",
        on_lines(lambda x: x.append(x[2])),
        ["double row"],
        "line 14, b-30-640x360 row 2",
    ),
    "swapped rows": ("VA", on_lines(swap), ["order"], "line 4, b-30-640x360 row 2"),
    "tracks in another order": ("EXPR", on_lines(track_last), ["order"], "line 10, b-30-640x360 row 1"),
    "reversed": ("EXPR", on_lines(lambda x: x.__setitem__(slice(1, None), x[:0:-1])), ["order"], "line 3"),
    "row of another track": (
        "VA",
        replaced("b-30-640x360/00003", "a_left/00003"),
        ["missing row", "double row", "order"],
        "b-30-640x360 row 3",
    ),
    "row of an unknown track": (
        "VA",
        replaced("a_left/00003", "a_right/00003"),
        ["unknown track", "missing row"],
        "line 8, a_right row 3",
    ),
    "row beyond the track": (
        "AU",
        on_lines(lambda x: x.insert(8, f"a_left/00004.jpg,{AU_ROW}\n")),
        ["extra row"],
        "a_left row 4: the template has rows 1 to 3",
    ),
    "row 0": ("EXPR", on_lines(lambda x: x.insert(1, f"{FIRST[:-9]}00000.jpg,0\n")), ["extra row"], "row 0"),
    "4-digit number": (
        "VA",
        replaced("/00002.jpg", "/0002.jpg"),
        ["location"],
        'line 3: "b-30-640x360/0002.jpg',
    ),
    "6-digit number": ("VA", replaced("/00002.jpg", "/000002.jpg"), ["location"], "line 3"),
    "no .jpg": ("EXPR", replaced("/00002.jpg", "/00002"), ["location"], "line 3"),
    ".png": ("EXPR", replaced("/00002.jpg", "/00002.png"), ["location"], "line 3"),
    "backslash": ("AU", replaced(SECOND, SECOND.replace("/", "\\")), ["location"], "line 3"),
    "space before the location": ("AU", replaced(SECOND, f" {SECOND}"), ["location"], "line 3"),
    "quoted location": ("VA", replaced(SECOND, f'"{SECOND}"'), ["location"], "line 3"),
    "index column": (
        "EXPR",
        replaced(SECOND, f"1,{SECOND}"),
        ["missing row", "location"],
        "b-30-640x360 row 2",
    ),
    "semicolons everywhere": ("VA", replaced(",", ";", -1), ["header"], "semicolons between the columns"),
    "tabs everywhere": ("AU", replaced(",", "\t", -1), ["header"], "tabs between the columns"),
    "pandas' index": (
        "EXPR",
        on_lines(
            lambda x: x.__setitem__(slice(None), [f"{i - 1 if i else ''},{t}" for i, t in enumerate(x)])
        ),
        ["header"],
        "in pandas: to_csv(index=False)",
    ),
    "header of a track's file": ("VA", replaced("image_location,", ""), ["header"], "line 1"),
    "junk line": ("EXPR", on_lines(lambda x: x.insert(2, "the end\n")), ["location"], 'line 3: "the end"'),
    "blank line inside": ("EXPR", on_lines(lambda x: x.insert(2, "\n")), ["blank line"], "line 3"),
    "blank line at the end": ("EXPR", lambda text: text + "\n", ["blank line"], "line 14"),
    "header missing": ("VA", on_lines(lambda x: x.pop(0)), ["header"], "no header, the first line is a row"),
    "header in other order": (
        "VA",
        replaced("valence,arousal", "arousal,valence"),
        ["header"],
        'expected "image_location,valence,arousal"',
    ),
    "header with a space": ("VA", replaced("n,valence", "n, valence"), ["header"], "line 1"),
    "header of an older edition": ("EXPR", replaced(",Other", ""), ["header"], "line 1"),
    "header of EXPR over AU": (
        "AU",
        replaced(TASKS["AU"].header(), TASKS["EXPR"].header()),
        ["header"],
        "the header of EXPR over AU values",
    ),
    "file of another task": (
        "AU",
        lambda text: whole("EXPR"),
        ["wrong task"],
        "the header of EXPR, expected AU",
    ),
    "header only": ("AU", on_lines(lambda x: x.__delitem__(slice(1, None))), ["empty"], "1 lines"),
    "empty file": ("AU", lambda text: "", ["empty"], "0 lines"),
    "one value": ("VA", replaced("0.25,-0.5", "0.25"), ["column count"], "line 2: 1 values, expected 2"),
    "three values": ("VA", replaced("0.25,-0.5", "0.25,-0.5,0"), ["column count"], "3 values"),
    "comma at the end": ("EXPR", replaced("jpg,3", "jpg,3,"), ["column count"], "line 5"),
    "8 values": ("EXPR", replaced("jpg,0", "jpg,1,0,0,0,0,0,0,0"), ["column count"], "8 values, expected 1"),
    "11 AUs": ("AU", replaced(AU_ROW, AU_ROW[2:]), ["column count"], "11 values, expected 12"),
    "semicolons": ("VA", replaced("0.25,-0.5", "0.25;-0.5"), ["column count"], "line 2"),
    "empty value": ("VA", replaced("0.25,-0.5", "0.25,"), ["empty value"], "line 2: arousal is empty"),
    "no values": ("EXPR", replaced("jpg,0", "jpg,"), ["empty value"], "line 2"),
    "blank template": ("AU", replaced(AU_ROW, "", -1), ["empty value"], "line 2: no values"),
    "NaN": ("VA", replaced("0.25,", "nan,"), ["NaN"], 'line 2: valence is "nan"'),
    "infinite": ("VA", replaced("0.25,", "-inf,"), ["NaN"], "line 2"),
    "None": ("EXPR", replaced("jpg,0", "jpg,None"), ["NaN"], "line 2"),
    "word": ("EXPR", replaced("jpg,0", "jpg,Neutral"), ["number syntax"], 'line 2: expression is "Neutral"'),
    "quoted value": ("EXPR", replaced("jpg,0", 'jpg,"0"'), ["number syntax"], "line 2"),
    "space before a value": ("VA", replaced("0.25,", " 0.25,"), ["number syntax"], 'valence is " 0.25"'),
    "decimal comma": ("VA", replaced("0.25,-0.5", "0,25,-0,5"), ["column count"], "4 values"),
    "two points": ("VA", replaced("0.25,", "0.2.5,"), ["number syntax"], "line 2"),
    "underscore": ("VA", replaced("0.25,", "0_0,"), ["number syntax"], "line 2"),
    "above 1": ("VA", replaced("0.25,", "1.000001,"), ["range"], 'valence is "1.000001"; expected -1..1'),
    "invalid marker of VA": ("VA", replaced("0.25,", "-5,"), ["range"], "the marker of invalid annotations"),
    "class 8": ("EXPR", replaced("jpg,7", "jpg,8"), ["range"], 'line 9: expression is "8"; expected 0..7'),
    "class -1": ("EXPR", replaced("jpg,7", "jpg,-1"), ["range"], "line 9"),
    "AU of 2": ("AU", replaced(AU_ROW, "2" + AU_ROW[1:]), ["range"], 'line 2: AU1 is "2"; expected 0..1'),
    "float class": ("EXPR", replaced("jpg,7", "jpg,7.0"), ["not an integer"], 'expression is "7.0"'),
    "AU probabilities": ("AU", replaced(AU_ROW, "0.1," + AU_ROW[2:]), ["not an integer"], 'AU1 is "0.1"'),
    "leading zero": ("EXPR", replaced("jpg,7", "jpg,07"), ["not an integer"], 'expression is "07"'),
    "CR LF": ("VA", replaced("\n", "\r\n", -1), ["line ending"], "CR LF"),
    "one CR LF": ("EXPR", replaced("\n", "\r\n"), ["line ending"], "CR LF"),
    "CR alone": ("AU", replaced("\n", "\r", -1), ["empty", "line ending"], "1 lines"),
    "byte order mark": ("VA", lambda text: "\ufeff" + text, ["encoding"], "a byte order mark"),
    "UTF-16": ("VA", lambda text: text.encode("utf-16"), ["encoding"], "UTF-16"),
    "UTF-16 without mark": ("VA", lambda text: text.encode("utf-16-le"), ["encoding"], "UTF-16"),
    "Latin-1": (
        "VA",
        on_bytes(lambda data: data.replace(b"102/00005", b"\xe9/00005")),
        ["encoding", "unknown track", "missing row"],
        "line 13: not UTF-8",
    ),
    "two things": (
        "EXPR",
        lambda text: replaced("jpg,7", "jpg,9")(on_lines(lambda x: x.pop(2))(text)),
        ["missing row", "range"],
        "b-30-640x360 row 2",
    ),
}

VALID = {
    "untouched": lambda text: text,
    "no final newline": lambda text: text.rstrip("\n"),
}


@pytest.fixture(params=["file", "folder", "zip"])
def checked(request, tmp_path):
    """Check the text of a single-file submission as a file, in a folder and in a zip."""

    def run(task, text):
        data = text if isinstance(text, bytes) else text.encode()
        header = "image_location," + TASKS[task].header()
        blank = [line.split(",")[0] + "," for line in row_texts(task)]
        (tmp_path / "template.txt").write_text("\n".join([header, *blank]) + "\n")
        target = tmp_path / "submission"
        if request.param == "file":
            target.write_bytes(data)
        elif request.param == "folder":
            target.mkdir()
            (target / "predictions.txt").write_bytes(data)
        else:
            target = tmp_path / "submission.zip"
            with zipfile.ZipFile(target, "w") as archive:
                archive.writestr("predictions.txt", data)
        return check(target, task, expected_rows(task, tmp_path / "template.txt"))

    return run


@pytest.mark.parametrize("task", ["AU", "EXPR", "VA"])
@pytest.mark.parametrize("name", VALID)
def test_valid_files_are_accepted(checked, task, name):
    report = checked(task, VALID[name](whole(task)))
    assert report.ok
    assert [f.kind for f in report.warnings if f.kind != "constant column"] == []
    assert [(t.track, t.rows, t.problems) for t in report.tracks] == [(t, n, 0) for t, n in ROWS.items()]


@pytest.mark.parametrize("name", SINGLE)
def test_each_break_is_found_and_named(checked, name):
    task, mutate, kinds, first = SINGLE[name]
    text = mutate(whole(task))
    assert text != whole(task)
    report = checked(task, text)
    assert sorted(f.kind for f in report.problems) == sorted(kinds)
    named = next(f for f in report.problems if f.kind == kinds[0])
    assert first in str(named.places[0])


def test_at_least_30_ways():
    assert len(SINGLE) >= 60


# The per-track dialect: what happens to the files of a folder or zip, as name -> text
def tracks(task):
    rows = [line.partition(",")[2] for line in row_texts(task)]
    files, at = {}, 0
    for track, count in ROWS.items():
        files[f"{track}.txt"] = "\n".join([TASKS[task].header(), *rows[at : at + count]]) + "\n"
        at += count
    return files


def edit(name, old, new):
    return lambda files: files.__setitem__(name, files[name].replace(old, new, 1))


def rename(old, new):
    return lambda files: files.__setitem__(new, files.pop(old))


PER_TRACK = {
    "track missing": ("VA", lambda files: files.pop("102.txt"), ["missing track"], "102.txt"),
    "unknown track": (
        "VA",
        rename("102.txt", "103.txt"),
        ["missing track", "unknown track"],
        "102.txt",
    ),
    "file without .txt": ("AU", rename("102.txt", "102.csv"), ["missing track", "stray file"], "102.txt"),
    "file in a folder": (
        "AU",
        rename("102.txt", "sub/102.txt"),
        ["not at root", "missing track"],
        "sub/102.txt",
    ),
    "hidden file": ("AU", lambda files: files.update({".DS_Store": "x"}), ["stray file"], ".DS_Store"),
    "read me": ("AU", lambda files: files.update({"README.md": "x"}), ["stray file"], "README.md"),
    "row missing": ("VA", edit("102.txt", "0.25,-0.5\n", ""), ["row count"], "4 rows, expected 5"),
    "row too many": (
        "EXPR",
        lambda files: files.update({"102.txt": files["102.txt"] + "0\n"}),
        ["row count"],
        "102.txt, 102: 6 rows, expected 5",
    ),
    "header": ("EXPR", edit("a_left.txt", "Neutral", "neutral"), ["header"], "a_left.txt, line 1"),
    "range": ("VA", edit("102.txt", "0.25", "1.25"), ["range"], "102.txt, line 3, 102 row 2: valence"),
    "NaN": ("VA", edit("102.txt", "0.25", "NaN"), ["NaN"], "102.txt, line 3, 102 row 2"),
    "blank inside": ("EXPR", edit("a_left.txt", "5\n", "\n"), ["blank line"], "a_left.txt, line 3"),
    "another task": (
        "VA",
        lambda files: files.update({"102.txt": tracks("AU")["102.txt"]}),
        ["wrong task"],
        "102.txt, line 1: the header of AU",
    ),
    "empty": ("AU", lambda files: files.update({"102.txt": ""}), ["empty"], "102.txt"),
    "CR LF": ("AU", edit("102.txt", "\n", "\r\n"), ["line ending"], "102.txt"),
}


@pytest.fixture(params=["folder", "zip"])
def checked_tracks(request, tmp_path):
    def run(task, files):
        (tmp_path / "list.txt").write_text("\n".join(ROWS) + "\n")
        va = whole("VA")
        (tmp_path / "rows.txt").write_text(va)
        target = tmp_path / ("submission.zip" if request.param == "zip" else "submission")
        if request.param == "zip":
            with zipfile.ZipFile(target, "w") as archive:
                for name, text in files.items():
                    archive.writestr(name, text)
        else:
            for name, text in files.items():
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                (target / name).write_bytes(text.encode())
        asked = expected_rows(task, tracks=tmp_path / "list.txt", rows_from=tmp_path / "rows.txt")
        return check(target, task, asked)

    return run


@pytest.fixture
def asked_by(tmp_path):
    (tmp_path / "list.txt").write_text("\n".join(ROWS) + "\n")
    (tmp_path / "template.txt").write_text(whole("VA"))
    template, listed = tmp_path / "template.txt", tmp_path / "list.txt"
    return {
        "template": expected_rows("VA", template),
        "list": expected_rows("VA", None, listed, template),
        "both": expected_rows("VA", template, listed),
    }


@pytest.mark.parametrize(
    ("files", "asked", "edition", "valid"),
    [
        ("single", "template", None, True),
        ("single", "template", 6, True),
        ("single", "template", 3, False),
        ("single", "list", None, True),
        ("single", "list", 2, False),
        ("tracks", "template", None, False),
        ("tracks", "template", 6, False),
        ("tracks", "template", 3, True),
        ("tracks", "list", None, True),
        ("tracks", "list", 5, False),
        ("tracks", "both", None, True),
    ],
)
def test_the_dialect_is_the_editions(tmp_path, asked_by, files, asked, edition, valid):
    (tmp_path / "submission").mkdir()
    for name, text in ({"VA.txt": whole("VA")} if files == "single" else tracks("VA")).items():
        (tmp_path / "submission" / name).write_text(text)
    report = check(tmp_path / "submission", "VA", asked_by[asked], edition)
    assert [f.kind for f in report.problems] == ([] if valid else ["dialect"])


@pytest.mark.parametrize("kind", ["MTL", "CE"])
def test_kinds_without_track_files_are_single_files_whatever_is_there(tmp_path, kind):
    (tmp_path / "a.txt").write_text("odd header\n1\n")
    (tmp_path / "b.txt").write_text("odd header\n1\n")
    report = check(tmp_path, kind)
    assert report.dialect == "single file"
    assert not report.ok


@pytest.mark.parametrize("name", PER_TRACK)
def test_each_break_of_a_folder_is_found_and_named(checked_tracks, name):
    task, mutate, kinds, first = PER_TRACK[name]
    files = tracks(task)
    mutate(files)
    report = checked_tracks(task, files)
    assert sorted(f.kind for f in report.problems) == sorted(kinds)
    named = next(f for f in report.problems if f.kind == kinds[0])
    assert first in str(named.places[0])


@pytest.mark.parametrize("task", ["AU", "EXPR", "VA"])
def test_valid_folders_are_accepted(checked_tracks, task):
    report = checked_tracks(task, tracks(task))
    assert report.ok
    assert report.dialect == "per-track files"


# Zips
def zip_of(path, entries):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in entries:
            archive.writestr(name, text)


def damage(path):
    data = bytearray(path.read_bytes())
    at = data.index(b"p.txt") + len("p.txt") + 5
    data[at] ^= 0xFF
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("entries", "kinds"),
    [
        ([("p.txt", "valid")], []),
        ([("sub/p.txt", "valid")], ["not at root"]),
        ([("sub/", ""), ("p.txt", "valid")], ["stray file"]),
        ([("p.txt", "valid"), ("__MACOSX/._p.txt", "x")], ["stray file"]),
        ([("p.txt", "valid"), (".DS_Store", "x")], ["stray file"]),
        ([("p.txt", "valid"), ("notes.pdf", "x")], ["stray file"]),
        ([("p.csv", "valid")], ["stray file"]),
        ([("p.txt", "valid"), ("p.txt", "valid")], ["double file"]),
        ([], ["empty"]),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_zips(tmp_path, entries, kinds):
    (tmp_path / "t.txt").write_text(whole("VA"))
    zip_of(tmp_path / "s.zip", [(name, whole("VA") if text == "valid" else text) for name, text in entries])
    report = check(tmp_path / "s.zip", "VA", expected_rows("VA", tmp_path / "t.txt"))
    assert [f.kind for f in report.problems] == kinds


def test_a_damaged_zip_and_no_zip(tmp_path):
    (tmp_path / "t.txt").write_text(whole("VA"))
    asked = expected_rows("VA", tmp_path / "t.txt")
    zip_of(tmp_path / "s.zip", [("p.txt", whole("VA"))])
    damage(tmp_path / "s.zip")
    assert [f.kind for f in check(tmp_path / "s.zip", "VA", asked).problems] == ["zip"]
    (tmp_path / "n.zip").write_text(whole("VA"))
    assert [f.kind for f in check(tmp_path / "n.zip", "VA", asked).problems] == ["zip"]
