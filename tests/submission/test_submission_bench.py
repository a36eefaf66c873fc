"""The benchmark's writers agree with each other, so that it compares the same work."""

import importlib.util
from pathlib import Path

import pytest

PATH = Path(__file__).parents[2] / "bench/official_files.py"


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("bench_official_files", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("task", ["AU", "EXPR", "VA"])
def test_the_loop_and_pandas_write_the_same_text(bench, tmp_path, task):
    bench.make_inputs(task, tmp_path, 0.001)
    jobs = [job for job in bench.JOBS if (job, task) != ("to_csv", "EXPR")]
    got = {job: bench.one(job, task, tmp_path, 1) for job in jobs}
    assert bench.same_text(task, tmp_path)
    assert f"| {task} |" in bench.table_line(task, tmp_path, got)
    (tmp_path / f"{task}_loop.txt").write_text("other")
    assert not bench.same_text(task, tmp_path)
