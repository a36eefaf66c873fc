"""The settings of cropping. Standard library only, so that `--help` stays fast."""

from __future__ import annotations

from dataclasses import dataclass

from abaw_submit.config import Settings, setting
from abaw_submit.errors import UserError

DETECTORS = {
    "yunet": "abaw_submit.faces.yunet:make",
    "haar": "abaw_submit.faces.haar:make",
}
DETECTOR_CHOICES = ("auto", *DETECTORS, "openface", "official")


@dataclass(frozen=True)
class CropSettings(Settings):
    """Everything that can change the bytes of a crop, apart from the detector itself.

    Lengths in rows are video frames; `long_side_px` and `every` trade speed for little:
    docs/explanation/faces.md has the measurements behind the defaults.
    """

    size_px: int = setting(224, "Side of the square crop in px.", ge=2, le=4096)
    margin: float = setting(0.15, "Room on each side of the face, as a part of the face's size.", ge=0, le=4)
    quality: int = setting(95, "JPEG quality, 1 to 100.", ge=1, le=100)
    long_side_px: int = setting(
        320, "Detect on a copy of the frame whose long side has so many px.", ge=32, le=8192
    )
    every: int = setting(
        4, "Run the detector on every n-th frame and between two that disagree; 1: on all.", ge=1, le=1000
    )
    min_score: float = setting(0.6, "Smallest detector confidence, 0 to 1 (yunet).", ge=0, le=1)
    min_face: float = setting(0.08, "Smallest face, as a part of the frame's shorter side.", ge=0, le=1)
    people: int = setting(
        4, "Largest faces followed in a frame; smaller ones are not looked at.", ge=1, le=1000
    )
    min_rows: int = setting(
        8, "A face seen for fewer rows is a false detection, unless a person is near it.", ge=1, le=100000
    )
    bridge_rows: int = setting(
        10, "Misses of the detector up to so many rows are bridged (source tracked).", ge=0, le=1000
    )
    smooth_rows: float = setting(
        2.0, "Sigma in rows of the smoothing of box and landmarks; 0: none.", ge=0, le=100
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size_px % 2:
            raise UserError(f"--size-px {self.size_px}: expected an even number.")
