"""Join the faces of frames into tracklets: one face, followed without a break.

A tracklet ends at a scene cut, or when its face was missed for longer than `bridge_rows`. Which
person it is, is decided when the whole video was seen (`faces.people`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from abaw_submit.faces.detect import BOX, Faces, iou
from abaw_submit.faces.sample import Seen

MIN_IOU = 0.25  # a face and its successor overlap at least so much
MAX_SIZE_RATIO = 1.6
FORBIDDEN = 1e6


@dataclass
class Tracklet:
    """One face followed over the rows `first`..`last` without a hole.

    Attributes:
        number: 0, 1, ... in order of appearance.
        first: 1-based row of its first face.
        faces: one (15,) face per row.
        looked: per row, True if the detector saw it there.
        missed: per row, True if the detector looked and missed it (the row lies in a bridged gap).
        smooth: per row, the face after smoothing; empty until cut out.
        spool: per row, where its encoded crop lies: (offset, length) in bytes, or None if the person is
            not to be seen there after all; empty until cut out.
        appearance: sum of its crops' appearances (`faces.appearance`).
    """

    number: int
    first: int
    faces: list[npt.NDArray[np.float32]] = field(default_factory=list)
    looked: list[bool] = field(default_factory=list)
    missed: list[bool] = field(default_factory=list)
    smooth: list[npt.NDArray[np.float64]] = field(default_factory=list)
    spool: list[tuple[int, int] | None] = field(default_factory=list)
    appearance: npt.NDArray[np.float64] | None = None

    @property
    def last(self) -> int:
        """1-based row of its last face."""
        return self.first + len(self.faces) - 1

    def __len__(self) -> int:
        return len(self.faces)

    def has(self, row: int) -> bool:
        """True if it has a face in that row."""
        return self.first <= row <= self.last

    def append(self, row: int, face: npt.NDArray[np.float32], looked: bool) -> None:
        """Add a face; rows that were missed since the last one are filled by interpolation."""
        missed = row - self.last - 1 if self.faces else 0
        if missed:
            start = self.faces[-1]
            for step in range(1, missed + 1):
                self.faces.append(start + np.float32(step / (missed + 1)) * (face - start))
                self.looked.append(False)
                self.missed.append(True)
        self.faces.append(face)
        self.looked.append(looked)
        self.missed.append(False)


class Follower:
    """Builds tracklets frame by frame.

    Attributes:
        tracklets: all so far, in order of appearance.
        open: those that may still go on.
    """

    def __init__(self, bridge_rows: int) -> None:
        self.tracklets: list[Tracklet] = []
        self.open: list[Tracklet] = []
        self._bridge_rows = bridge_rows

    def step(self, seen: Seen) -> None:
        """Take in the next frame."""
        row = seen.frame.row
        if seen.cut:
            self.open = []
        self.open = [t for t in self.open if row - t.last - 1 <= self._bridge_rows]
        partner = pair([t.faces[-1] for t in self.open], seen.faces)
        for index, face in enumerate(seen.faces):
            if index in partner:
                tracklet = self.open[partner[index]]
            else:
                tracklet = Tracklet(len(self.tracklets), row)
                self.tracklets.append(tracklet)
            tracklet.append(row, face, seen.looked)
        self.open += [t for t in self.tracklets[-len(seen.faces) or len(self.tracklets) :] if t.first == row]


def pair(last: list[npt.NDArray[np.float32]], faces: Faces) -> dict[int, int]:
    """Which face goes on which tracklet: face index -> tracklet index, the best sum of overlaps."""
    if not last or not len(faces):
        return {}
    before = np.stack(last)
    overlap = iou(before[:, BOX], faces[:, BOX])
    ratio = np.log(before[:, None, 3] / faces[None, :, 3])
    allowed = (overlap >= MIN_IOU) & (np.abs(ratio) <= np.log(MAX_SIZE_RATIO))
    rows, columns = linear_sum_assignment(np.where(allowed, 1 - overlap, FORBIDDEN))
    return {int(c): int(r) for r, c in zip(rows, columns, strict=True) if allowed[r, c]}
