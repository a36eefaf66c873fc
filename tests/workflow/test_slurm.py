"""The same run through a real Slurm of one node: the same zip, byte for byte."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

TOOL = Path(os.environ.get("ABAW_SHARED", "/nowhere")) / "tools" / "slurm-one-node"


def _why_not():
    if os.environ.get("ABAW_TEST_SLURM") != "1":
        return "starts Slurm's daemons on this machine: set ABAW_TEST_SLURM=1 to allow it"
    if shutil.which("sinfo") is not None and subprocess.run(["sinfo"], capture_output=True).returncode == 0:
        return ""
    if not TOOL.is_file():
        return "no Slurm here, and no ABAW_SHARED/tools/slurm-one-node to start one"
    if os.geteuid() != 0:
        return "no Slurm here, and only root can start one"
    return ""


PROFILE = """
executor: slurm
jobs: 4
latency-wait: 30
slurm-status-command: squeue
slurm-init-seconds-before-status-checks: 2
seconds-between-status-checks: 2
default-resources:
  mem_mb: 1500
  runtime: 30
  slurm_partition: main
  slurm_account: none
set-resources:
"""
STAGES = ("sound", "pretrain", "finetune", "features", "train", "ablate", "predict")


@pytest.fixture
def slurm():
    """A Slurm that answers; one that this test starts is stopped again."""
    if why := _why_not():
        pytest.skip(why)
    running = shutil.which("sinfo") and subprocess.run(["sinfo"], capture_output=True).returncode == 0
    if not running:
        subprocess.run([TOOL, "start"], check=True, capture_output=True, timeout=300)
    yield
    if not running:
        subprocess.run([TOOL, "stop"], check=False, capture_output=True)


def test_a_run_through_slurm_gives_the_same_bytes(slurm, fresh, finished):
    profile = fresh.folder / "my profile ü"
    profile.mkdir()
    no_gpu = "".join(f"  {stage}: {{gpu: 0}}\n" for stage in STAGES)  # there is none here
    (profile / "config.yaml").write_text(PROFILE + no_gpu, encoding="utf-8")
    out = fresh.run("submission", "--profile", "my profile ü")
    assert "submit VA" in out
    assert fresh.zip() == finished.zip()
    assert "Nothing to do" in fresh.run("submission", "--profile", "my profile ü")
    assert "Nothing to do" in fresh.run("submission")  # here or there, it is the same run
