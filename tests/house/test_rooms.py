"""The rooms of the package: who may import whom, and what works without the heavy libraries."""

import subprocess
import sys
import tomllib

import pytest

from abaw_submit.cli import COMMANDS
from abaw_submit.errors import UserError
from abaw_submit.extras import BASE, EXTRAS, require
from abaw_submit.workflow.doctor import NEEDED_BY
from tests.house.rooms import ORDER, PACKAGE, circles, files_of, imports_of, room_of, rooms_used

ROOT = PACKAGE.parent
LIGHT_ROOMS = ("scores", "postprocess", "planning", "submission", "")
FILES = files_of()


def test_every_room_has_its_place():
    assert {room_of(p) for p in FILES} == set(ORDER)


@pytest.mark.parametrize("room", ORDER)
def test_a_room_uses_lower_rooms_only(room):
    higher = set(ORDER[: ORDER.index(room)])
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {used}"
        for path in FILES
        if room_of(path) == room
        for used in sorted(set(rooms_used(path)) & higher)
    ]
    assert wrong == []


def test_no_two_files_import_each_other():
    assert circles() == []


def test_a_circle_is_seen(tmp_path):
    package = tmp_path / "abaw_submit"
    (package / "faces").mkdir(parents=True)
    (package / "faces" / "__init__.py").write_text("")
    (package / "faces" / "a.py").write_text("def f():\n    from abaw_submit.faces.b import g\n")
    (package / "faces" / "b.py").write_text("from abaw_submit import tasks\n")
    assert circles(package) == []
    (package / "tasks.py").write_text("from abaw_submit.faces.a import f\n")
    assert circles(package) == [["abaw_submit.faces.a", "abaw_submit.faces.b", "abaw_submit.tasks"]]


def test_the_command_line_alone_uses_click():
    wrong = [p.relative_to(PACKAGE) for p in FILES if room_of(p) != "cli" and "click" in imports_of(p)]
    assert wrong == []


@pytest.mark.parametrize("room", LIGHT_ROOMS)
def test_light_rooms_name_no_network_library(room):
    heavy = {"torch", "torchvision", "torchaudio", "timm", "transformers", "safetensors", "accelerate", "cv2"}
    for path in FILES:
        if room_of(path) == room:
            assert not heavy & {name.split(".")[0] for name in imports_of(path)}, path


def test_light_rooms_can_be_imported_without_any_extra():
    """In a process in which every library of an extra is made to look absent."""
    heavy = sorted({module for names in EXTRAS.values() for module in names.values()} | {"sklearn"})
    modules = [
        ".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for p in FILES
        if room_of(p) in (*LIGHT_ROOMS, "corpus", "cli", "workflow")
    ]
    light_training = ["folds", "balance", "splitcheck", "settings", "tracks"]
    modules += [f"abaw_submit.training.{name}" for name in light_training]
    code = (
        "import sys\nclass Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.split('.')[0] in {heavy!r}: raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        f"from importlib import import_module\nfor name in {modules!r}: import_module(name)\nprint('ok')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "ok\n", done.stderr


def test_extras_are_those_of_the_project_file():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    def names(lines):
        return {line.split(">=")[0] for line in lines}

    assert names(project["dependencies"]) == set(BASE)
    optional = project["optional-dependencies"]
    for extra, distributions in EXTRAS.items():
        assert names(optional[extra]) == set(distributions), extra
        assert extra in optional["all"][0], extra
    assert set(EXTRAS) == set(NEEDED_BY)


def test_commands_of_the_doctor_exist():
    assert {*NEEDED_BY["faces"], *NEEDED_BY["train"]} <= set(COMMANDS)


def test_what_is_missing_is_said_with_its_extra(monkeypatch):
    require("`crop`", ["faces"])  # here everything is installed
    monkeypatch.setitem(EXTRAS, "faces", {"no-such-library": "no_such_library"})
    with pytest.raises(UserError, match=r"(?s)`crop` needs no-such-library.*\[faces\]"):
        require("`crop`", ["faces"])
