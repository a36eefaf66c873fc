"""A plan as text: the candidates, their agreement, and what each would teach."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from abaw_submit.planning.compare import Candidate, Plan


def plan_lines(plan: Plan) -> list[str]:
    """The plan as Markdown."""
    task = plan.task
    lines = [
        f"# Five submissions for {task.name}",
        "",
        f"Scores are {task.metric}, cross-fitted: each track is scored by settings chosen without it, and by"
        " the one fold's model that did not see it. The mean of folds is usually better than they can show.",
        "The step is the paired difference to the first candidate, with its 95 % interval."
        f" {plan.rows:,} test rows.",
        "",
        "| | candidate | tracks | score | 95 % interval | step | 95 % interval | rows changed |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for c in plan.candidates:
        low, high = c.score.intervals["total"]
        step = "| |" if c.gain is None else f"{c.gain.gain:+.4f} | {c.gain.low:+.4f} … {c.gain.high:+.4f} |"
        lines.append(
            f"| {c.number} | {c.idea.name}: {c.idea.what} | {c.score.tracks} | {c.score.total:.4f}"
            f" | {low:.4f} … {high:.4f} | {step} {c.rows_changed:,} ({c.rows_changed / plan.rows:.1%}) |"
        )
    measure = task.kind.agreement_name
    names = [c.idea.name for c in plan.candidates]
    lines += ["", f"Agreement on the test rows ({measure}):", ""]
    lines += ["| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for name, row in zip(names, plan.agreement, strict=True):
        lines.append(f"| {name} | " + " | ".join(f"{value:.3f}" for value in row) + " |")
    lines += ["", "What each would teach, if its test score came back:", ""]
    lines += [f"{c.number}. **{c.idea.name}**: {teaching(c)}" for c in plan.candidates]
    return lines


def teaching(candidate: Candidate) -> str:
    """What the test score of a candidate would say."""
    text = candidate.idea.lesson + "."
    if candidate.same_as:
        return f"nothing: on the test rows it is the same as {candidate.same_as}. Keep this submission."
    gain = candidate.gain
    if gain is None or candidate.idea.steps == "none":  # out-of-fold scores say nothing about averaging folds
        return text
    if gain.low > 0:
        expected = "a gain"
    elif gain.high < 0:
        expected = "a loss"
    else:
        expected = "no clear difference"
    return (
        f"{text} Validation expects {expected} over {gain.against}"
        f" ({gain.gain:+.4f}, {gain.low:+.4f} … {gain.high:+.4f});"
        " a test difference outside that interval says that the test set is different there."
    )


def plan_dict(plan: Plan) -> dict[str, Any]:
    """The plan as plain values for JSON."""
    return {
        "task": plan.task.name,
        "metric": plan.task.metric,
        "rows": plan.rows,
        "candidates": [
            {
                "number": c.number,
                "name": c.idea.name,
                "what": c.idea.what,
                "score": c.score.total,
                "interval": list(c.score.intervals["total"]),
                "tracks": c.score.tracks,
                "per_output": c.score.per_output,
                "step": None if c.gain is None else asdict(c.gain),
                "rows_changed": c.rows_changed,
                "same_as": c.same_as,
                "teaches": teaching(c),
                "zip": c.zip_name,
            }
            for c in plan.candidates
        ],
        "agreement": {
            c.idea.name: {
                other.idea.name: float(value) for other, value in zip(plan.candidates, row, strict=True)
            }
            for c, row in zip(plan.candidates, plan.agreement, strict=True)
        },
    }
