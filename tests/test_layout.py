"""The paths of a run: known in one place, and found again from its work folder."""

import re
from pathlib import Path

import abaw_submit
from abaw_submit.layout import ENCODER, Layout

PACKAGE = Path(abaw_submit.__file__).parent


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_a_run_is_found_again_from_its_work_folder(tmp_path):
    there = Layout("my rün", root=tmp_path)
    found = Layout.of_work(there.work)
    assert (found.name, found.checkpoints, found.submissions) == (
        "my rün",
        there.checkpoints,
        there.submissions,
    )


def test_a_run_that_trains_nothing_owns_no_checkpoints():
    own, borrowed = Layout("mine"), Layout("mine", "theirs")
    assert own.checkpoints in own.owned
    assert borrowed.checkpoints == Layout("theirs").checkpoints
    assert borrowed.checkpoints not in borrowed.owned
    assert borrowed.recipe("va") == Layout("theirs").recipe("va")
    assert borrowed.member_scores("va", "0") not in (own.member_scores("va", "0"), borrowed.checkpoints)


def test_the_official_split_is_a_model_but_no_fold(tmp_path):
    layout = Layout("r", root=tmp_path)
    for fold in ("1", "0", "official"):
        touch(layout.encoder("va", fold) / "scores_validation.h5")
        touch(layout.model("va", fold) / "record.json")
    touch(layout.model("va", "2") / "model.safetensors")  # not whole
    assert [p.parent.name for p in layout.validation_scores("va", ENCODER)] == ["encoder_0", "encoder_1"]
    assert [p.name for p in layout.trained_folds("va")] == ["fold_0", "fold_1", "fold_official"]


def test_recorded_results_are_those_of_this_run_alone(tmp_path):
    layout, other = Layout("a", root=tmp_path), Layout("a_b", root=tmp_path)
    mine = [layout.crops, layout.mae, layout.scores("va"), layout.splits("va")]
    for path in (layout.crops, layout.mae):
        touch(path / "record.json")
    for path in (layout.scores("va"), layout.splits("va"), other.splits("va")):
        touch(path.with_name(f"{path.name}.record.json"))
    touch(layout.crops / "track" / "record.json")
    assert sorted(layout.recorded()) == sorted(mine)


def test_no_other_module_spells_out_where_a_run_lies():
    """Folder names of a run as parts of a path stand in layout.py alone."""
    spelled = re.compile(
        r"""["'](?:checkpoints|submissions|work)["'] ?\)? ?/|/ ["'](?:checkpoints|submissions)["']"""
    )
    wrong = [
        f"{path.relative_to(PACKAGE)}: {line.strip()}"
        for path in PACKAGE.rglob("*.py")
        if path.name != "layout.py"
        for line in path.read_text(encoding="utf-8").splitlines()
        if spelled.search(line) or 'scores_validation.h5"' in line.replace("/scores", "")
    ]
    assert wrong == []


def test_further_networks_of_a_fold_are_members_and_no_folds(tmp_path):
    layout = Layout("demo", root=tmp_path)
    for name in ("fold_0", "fold_0_seed1", "fold_1", "fold_official", "gru_0", "gru_0_seed1"):
        folder = layout.checkpoints / "va" / name
        folder.mkdir(parents=True)
        (folder / "scores_validation.h5").touch()
        (folder / "record.json").touch()
    assert [p.parent.name for p in layout.validation_scores("va")] == ["fold_0", "fold_1"]
    assert [p.name for p in layout.trained_folds("va")] == ["fold_0", "fold_1", "fold_official"]
    assert layout.model("va", "1", "gru_{fold}_seed1").name == "gru_1_seed1"
    using = Layout("new", trained="demo", root=tmp_path)
    names = [using.member_scores("va", "1", folder).name for folder in ("fold_{fold}", "gru_{fold}_seed1")]
    assert names == ["scores_1.h5", "scores_gru_1_seed1.h5"]
