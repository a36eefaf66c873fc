"""What the jobs of a run will need, looked at before the first of them starts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from abaw_submit.errors import UserError
from abaw_submit.workflow.doctor import Finding
from abaw_submit.workflow.graph import Graph
from abaw_submit.workflow.run_checks import examine_run
from abaw_submit.workflow.sizes import needs
from abaw_submit.workflow.units import Unit

# the first word or words of a finding -> the stages it matters to; what is not listed matters to all
_MATTERS = {
    "videos": ("crop", "sound"),
    "a video for every track": ("crop", "sound"),
    "encoder": ("pretrain", "finetune"),
    "faces": ("pretrain",),
    "extractor": ("sound",),
}
_LABELLED = ("split", "finetune", "train", "ablate", "tables", "ensemble", "smooth", "select")
# the rest goes on without these, and says so
_GOES_ON = ("a video for every track",)


def check_run(graph: Graph, due: Sequence[Unit], say: Callable[[str], None]) -> None:
    """Refuse to start what cannot end; tell of what will be left out.

    Args:
        graph: the run.
        due: the jobs that will run.
        say: prints a line.

    Raises:
        UserError: naming all that is missing and what to do about each.
    """
    stages = {unit.stage for unit in due}
    findings = [f for f in examine_run(graph.config, graph.run) if _matters(f, stages)]
    if not graph.run.annotations and not stages & set(_LABELLED):  # crops of any videos need none
        findings = [f for f in findings if not f.what.endswith(" annotations")]
    if stages & {"crop", "features", "sound", "finetune"} and (size := needs(graph.config, graph.run)):
        findings += [f for f in size.findings(Path(".")) if f.what.startswith("disk")]
    findings += _templates(graph, stages)
    missing = [f for f in findings if f.state == "missing" and not f.what.startswith(_GOES_ON)]
    for finding in findings:
        if finding.state == "missing" and finding not in missing:
            say(f"Note: {finding.what}: {finding.detail}. The rest goes on.")
    if missing:
        lines = [f"{f.what}: {f.detail.rstrip('.')}. {f.fix}".rstrip() for f in missing]
        raise UserError(f"Run {graph.run.name} cannot be made: " + "\n  ".join(lines))


def _matters(finding: Finding, stages: set[str]) -> bool:
    for start, wanted in _MATTERS.items():
        if finding.what.startswith(start):
            return bool(stages & set(wanted))
    return True


def _templates(graph: Graph, stages: set[str]) -> list[Finding]:
    """A submission needs to know its rows."""
    if "submit" not in stages or graph.run.trained:
        return []
    return [
        Finding(
            f"{key.upper()} template",
            "missing",
            f"[run] template_{key} is empty",
            "Set it, or leave the task out.",
        )
        for key in graph.run.task_keys
        if not graph.run.template(key)
    ]
