"""The ways from scores to labels: tasks name one (tasks.py), kinds are found by it (kinds.py)."""

from enum import Enum


class Decision(Enum):
    """How scores become labels."""

    THRESHOLD = "threshold"  # AU: one 0/1 per column
    ARGMAX = "argmax"  # EXPR: one class index
    CLIP = "clip"  # VA: the value itself, inside [-1, 1]
    PARTS = "parts"  # MTL: each part by its own rule
