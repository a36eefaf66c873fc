"""The settings of cropping. Standard library only, so that `--help` stays fast."""

from __future__ import annotations

from dataclasses import dataclass

from abaw_submit.config import setting

DETECTORS = {
    "yunet": "abaw_submit.faces.yunet:make",
    "haar": "abaw_submit.faces.haar:make",
}
DETECTOR_CHOICES = ("auto", *DETECTORS, "openface", "official")


@dataclass(frozen=True)
class CropSettings:
    """Everything that can change the bytes of a crop, apart from the detector itself.

    Lengths in rows are video frames; `long_side_px` and `every` trade speed for little:
    docs/explanation/faces.md has the measurements behind the defaults.
    """

    size_px: int = setting(224, "Side of the square crop in px.")
    margin: float = setting(0.15, "Room on each side of the face, as a part of the face's size.")
    quality: int = setting(95, "JPEG quality, 1 to 100.")
    long_side_px: int = setting(320, "Detect on a copy of the frame whose long side has so many px.")
    every: int = setting(4, "Run the detector on every n-th frame and between two that disagree; 1: on all.")
    min_score: float = setting(0.6, "Smallest detector confidence, 0 to 1 (yunet).")
    min_face: float = setting(0.08, "Smallest face, as a part of the frame's shorter side.")
    people: int = setting(4, "Largest faces followed in a frame; smaller ones are not looked at.")
    min_rows: int = setting(8, "A face seen for fewer rows is a false detection, unless a person is near it.")
    bridge_rows: int = setting(10, "Misses of the detector up to so many rows are bridged (source tracked).")
    smooth_rows: float = setting(2.0, "Sigma in rows of the smoothing of box and landmarks; 0: none.")
