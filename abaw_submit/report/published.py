"""Scores others have published, to stand beside a run's own.

Sources: arXiv 2303.10849 (the method this package follows; 5th ABAW, winner of AU and EXPR); the organisers'
result pages and the teams' papers of the 5th, 6th and 10th ABAW.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """One system: its name, and its test score by task; a task it did not enter is left out."""

    name: str
    test: dict[str, float]


ON_TEST = (
    Published("organisers' baseline", {"AU": 0.365, "EXPR": 0.225, "VA": 0.201}),
    Published("the method's paper (5th)", {"AU": 0.5549, "EXPR": 0.4121, "VA": 0.6372}),
    Published("the same team (6th)", {"AU": 0.5601, "EXPR": 0.5005, "VA": 0.6721}),
    Published("winners of the 10th", {"AU": 0.510, "EXPR": 0.391, "VA": 0.62}),
)
# what papers report on the official validation set, and what the same systems reached on the test set
ON_VALIDATION = (
    ("VA", "10th, first: face features and sound, Transformer", 0.658, 0.622),
    ("VA", "10th, third: CLIP, region loss, sound", 0.536, 0.53),
    ("EXPR", "10th, second: EmotiEffNet, sound, smoothing", 0.474, 0.386),
    ("AU", "10th, first: DINOv2, WavLM, landmark regions", 0.595, 0.51),
    ("AU", "10th, second: EmotiEffNet, smoothing, thresholds", 0.547, 0.488),
)
