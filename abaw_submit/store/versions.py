"""The version of each stage's code: raise it when the same inputs and settings would give other bytes.

It is part of what identifies a result, alone and in the graph of a run: what an older version made is made
again, and what hangs on it. Only people can tell whether a change matters: a hash of the code would train for
days again because a comment or a name changed, and the package's version because anything at all did.
"""

from __future__ import annotations

# those that are not here have the first version
VERSIONS = {
    "demo-data": 4,
    "crop": 2,
    "extract logmel": 2,
    "extract visual": 2,
    "extract vggish": 2,
    "extract speech": 3,
    "pretrain": 2,  # embeds what is seen and paints what is hidden; one kernel for AdamW, in its last digits
    "finetune": 2,
    "train": 2,
}


def version_of(*stages: str) -> int:
    """One number for some stages, which rises with each of theirs.

    >>> version_of("split"), version_of("split", "pretrain")
    (1, 2)
    """
    return 1 + sum(VERSIONS.get(stage, 1) - 1 for stage in stages)
