"""The [run] section: validated whole, one message for all that is wrong."""

import pytest

from abaw_submit.errors import UserError
from abaw_submit.workflow.commands import unit_commands
from abaw_submit.workflow.layout import RunLayout
from abaw_submit.workflow.settings import RunSettings, load_run
from abaw_submit.workflow.units import Unit


def load(tmp_path, text, **given):
    path = tmp_path / "c.toml"
    path.write_text(f"[run]\n{text}", encoding="utf-8")
    return load_run(path, **given)


def test_everything_that_is_wrong_is_said_at_once(tmp_path, monkeypatch):
    monkeypatch.delenv("ABAW_NOT_SET", raising=False)
    text = (
        'name = "a/b"\ntasks = "AU XY AU"\nfolds = 1\nvideos = "$ABAW_NOT_SET/v"\naudio_va = "hubbert"\n'
        'fold = 3\njobs = "two"\nmodels = "gru grru gru"\nseeds = 0\nplan = "VA WA"\n'
    )
    with pytest.raises(UserError) as error:
        load(tmp_path, text)
    said = str(error.value)
    for part in (
        'name = "a/b"',
        'no task "XY"',
        "names a task twice",
        "folds = 1",
        "ABAW_NOT_SET is not set",
        'Did you mean "hubert"',
        'Did you mean "folds"',
        "expected a whole number, found text",
        'no model "grru"',
        "names a model twice",
        "seeds = 0",
        'plan: no task "WA"',
    ):
        assert part in said


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('name = "a"\ntrained = "a"', "is this run itself"),
        ('audio_va = "logmel logmel"', "audio_va names an extractor twice"),
        ("folds = true", "expected a whole number, found true or false"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path, text, says):
    with pytest.raises(UserError, match=says):
        load(tmp_path, text)


@pytest.mark.parametrize("text", ["run = 3", "[[run]]\nname = 'a'"])
def test_a_run_that_is_no_section_is_refused(tmp_path, text):
    (tmp_path / "c.toml").write_text(text)
    with pytest.raises(UserError, match="expected one section"):
        load_run(tmp_path / "c.toml")


def test_a_config_saved_with_a_byte_order_mark_is_read(tmp_path):
    (tmp_path / "c.toml").write_bytes(b'\xef\xbb\xbf[run]\r\nname = "a"\r\n')
    assert load_run(tmp_path / "c.toml").name == "a"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "-x", ".hidden", "a\nb", "{x}", "a ", "*"])
def test_names_that_are_no_folder_names_are_refused(tmp_path, name):
    with pytest.raises(UserError, match="name = "):
        load(tmp_path, "", name=name)


@pytest.mark.parametrize("name", ["demo", "my rün", "v1.2_b-c+d", "1", "Прогон 2"])
def test_names_of_all_languages_are_fine(tmp_path, name):
    assert load(tmp_path, f'name = "{name}"').name == name


def test_the_environment_is_filled_in(tmp_path, monkeypatch):
    monkeypatch.setenv("ABAW_HERE", "/data of all")
    assert load(tmp_path, 'videos = "${ABAW_HERE}/v"').videos == "/data of all/v"


def test_what_is_given_replaces_the_file_even_a_variable_that_is_not_set(tmp_path, monkeypatch):
    monkeypatch.delenv("ABAW_NOT_SET", raising=False)
    run = load(tmp_path, 'videos = "$ABAW_NOT_SET"\nfolds = 5', videos="here", folds=3, tasks=None)
    assert (run.videos, run.folds, run.tasks) == ("here", 3, "AU EXPR VA")


def test_as_many_stages_run_at_once_as_there_are_cores(monkeypatch):
    monkeypatch.setattr("abaw_submit.workflow.settings.cores", lambda: 6)
    assert RunSettings().side_by_side == 6
    assert RunSettings(jobs=2).side_by_side == 2


def test_the_report_builds_the_plan_of_the_tasks_that_ask_for_it_before_the_page(tmp_path):
    text = 'plan = "va EXPR"\ntemplate_va = "va.txt"\nannotations = "truth"\n'
    commands = []
    for tasks, trained in (("AU VA", ""), ("AU", ""), ("VA", "other")):
        layout = RunLayout(load(tmp_path, text, tasks=tasks, trained=trained))
        commands.append([c[0] for c in unit_commands(layout, Unit("report"), tmp_path / "c.toml")])
    assert commands == [["plan", "report"], ["report"], ["report"]]
    layout = RunLayout(load(tmp_path, text))
    plan = unit_commands(layout, Unit("report"), tmp_path / "c.toml")[0]
    assert plan[plan.index("--out") + 1] == "submissions/demo/plan_va"
    assert plan[plan.index("--fold-scores") + 1] == "checkpoints/demo/va"
