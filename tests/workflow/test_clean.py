"""`clean` removes what a run made, and nothing else."""

import shutil


def files(folder):
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def test_all_that_a_run_made_is_removed(place):
    before = files(place.folder / "the data")
    out = place("clean", "-c", place.config.name)
    assert "kept" not in out
    left = {p.name for p in place.folder.iterdir()} - {".snakemake", "first output", "done"}
    assert left <= {"the data", "my run.toml", "work", "checkpoints", "submissions", "splits"}
    for folder in ("work", "checkpoints", "submissions", "splits"):
        assert files(place.folder / folder) == set()
    assert files(place.folder / "the data") == before


def test_other_files_and_other_runs_stay(place):
    theirs = [
        "work/my rün/notes.txt",
        "checkpoints/my rün/va/fold_0/my notes.md",
        "checkpoints/my rün/model.safetensors.bak",
        "submissions/my rün/sent/VA.zip",
    ]
    for name in theirs:
        (place.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (place.folder / name).write_text("mine")
    shutil.copytree(place.folder / "checkpoints/my rün", place.folder / "checkpoints/my")
    other = files(place.folder / "checkpoints/my")
    out = place("clean", "-c", place.config.name)
    for name in theirs:
        assert name in out
        assert (place.folder / name).read_text() == "mine"
    assert files(place.folder / "checkpoints/my") == other
    assert not (place.folder / "checkpoints/my rün/va/fold_0/model.safetensors").exists()


def test_an_empty_name_or_one_with_separators_is_refused(place):
    before = files(place.folder)
    for name in ("", ".", "..", "../x", "my rün/va", "*"):
        assert "--run" in place("clean", "--run", name, code=2)
    place("clean", code=2)
    assert files(place.folder) == before


def test_a_dry_run_only_counts(place):
    before = files(place.folder)
    assert "would remove" in place("clean", "-c", place.config.name, "--dry-run")
    assert files(place.folder) - before <= {"work/my rün/stages/.run.lock"}
