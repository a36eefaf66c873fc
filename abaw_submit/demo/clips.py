"""The clips of the synthetic corpus: a fixed table with the awkward cases of the real data."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from abaw_submit.errors import UserError, suggest
from abaw_submit.tasks import AU, EXPR, VA, Task

SUBSETS = {"T": "Train_Set", "V": "Validation_Set", "E": "Test_Set"}
_ROLE_ORDER = (AU, EXPR, VA)
NTSC_24, NTSC_30 = Fraction(24000, 1001), Fraction(30000, 1001)
WIDE, NARROW = (426, 240), (320, 240)


@dataclass(frozen=True)
class TrackPlan:
    """One annotated person of a clip.

    Attributes:
        side: "", "left" or "right"; the suffix of the track's name.
        roles: subset in AU, EXPR and VA: T train, V validation, E test, - not in the task.
        extra_rows: annotation rows minus decoded frames.
        visible: first and last moment the person is in the picture, as shares of the clip.
        away: spans (shares of the clip) with nobody in the picture.
        who: a person's name; empty for one who is in no other clip.
        occluded: hands often cover the face.
    """

    roles: str
    side: str = ""
    extra_rows: int = 1
    visible: tuple[float, float] = (0.0, 1.0)
    away: tuple[tuple[float, float], ...] = ()
    who: str = ""
    occluded: bool = False

    def subset(self, task: Task) -> str | None:
        """Folder name of the task's subset this track is in, or None."""
        return SUBSETS.get(self.roles[_ROLE_ORDER.index(task)])


@dataclass(frozen=True)
class Clip:
    """One media file.

    Attributes:
        name: file name without suffix.
        frames: pictures in the file.
        rate: frames a second, nominal if `variable`.
        sound: whether there is a sound track.
        sound_start_s: when the sound starts, on the file's clock.
        picture_start_s: when the picture starts.
        sound_extra_s: how much later (or earlier, below 0) than the picture the sound ends.
    """

    name: str
    tracks: tuple[TrackPlan, ...]
    frames: int
    rate: Fraction
    size: tuple[int, int] = NARROW
    suffix: str = ".mp4"
    variable: bool = False
    sound: bool = True
    sound_start_s: float = 0.0
    picture_start_s: float = 0.0
    sound_extra_s: float = 0.0

    def track_name(self, track: TrackPlan) -> str:
        """The official name of one of the clip's tracks."""
        return f"{self.name}_{track.side}" if track.side else self.name


def _clip(
    name: str, roles: str, rate: Fraction | int, frames: int, extra_rows: int = 1, **more: object
) -> Clip:
    """A clip with one person; keywords go to the track or the clip."""
    of_track = {k: more.pop(k) for k in ("away", "who", "occluded") if k in more}
    track = TrackPlan(roles, extra_rows=extra_rows, **of_track)  # type: ignore[arg-type]
    return Clip(name, (track,), frames, Fraction(rate), **more)  # type: ignore[arg-type]


def _pair(
    name: str, tracks: tuple[TrackPlan, ...], rate: Fraction | int, frames: int, **more: object
) -> Clip:
    return Clip(name, tracks, frames, Fraction(rate), WIDE, **more)  # type: ignore[arg-type]


SMALL = (
    # two people; one pair lies in train and validation, one in train and test, as in the real lists
    _pair("7-24-426x240", (TrackPlan("TTT", "left"), TrackPlan("T-E", "right")), NTSC_24, 120),
    _pair("135-24-426x240", (TrackPlan("TTT", "left", 0), TrackPlan("VVV", "right", 0)), 25, 120),
    # a side person for a short span
    _pair("10-60-426x240", (TrackPlan("TTT"), TrackPlan("T-T", "right", visible=(0.35, 0.62))), NTSC_30, 150),
    _pair(
        "video2",
        (TrackPlan("TVT", extra_rows=0), TrackPlan("TVT", "left", 0, visible=(0.5, 0.85))),
        25,
        120,
        suffix=".avi",
    ),
    # parts of one recording
    _clip("24-30-426x240-1", "VTT", NTSC_30, 140, size=WIDE, who="24"),
    _clip("24-30-426x240-2", "VTT", NTSC_30, 110, 2, size=WIDE, who="24"),
    _clip("video45_1", "TTV", 25, 130),
    # names that are parts of other names, and are other videos
    _clip("102", "TTV", 30, 150, 0),
    _clip("102-30-426x240", "ETT", NTSC_30, 130, size=WIDE),
    _clip("108", "TET", 25, 120),
    # what real clips do to a pipeline
    _clip("15-24-320x240", "TTT", NTSC_24, 150, away=((0.30, 0.50),)),
    _clip("28-30-320x240", "TTT", NTSC_30, 160, -1, occluded=True),
    _clip("video61", "TTT", 30, 150, 0, variable=True),
    _clip("44-15-320x240", "VTT", 15, 110),
    _clip("video76", "TTV", 25, 140, suffix=".avi", sound_extra_s=-2.1),
    _clip("121-24-320x240", "TTT", 24, 120, sound=False),
    _clip("video33", "TTT", 25, 72),
    _clip("99-30-320x240", "VTV", NTSC_30, 140, sound_extra_s=1.5),
    _clip("17-30-320x240", "TVT", NTSC_30, 140, picture_start_s=0.852),
    _clip("video80", "TTT", 30, 130, sound_start_s=0.45),
    # and what is left is plain
    *(
        _clip(name, roles, rate, frames, extra_rows)
        for name, roles, rate, frames, extra_rows in (
            ("33-25-320x240", "TTT", 25, 120, 1),
            ("video5", "TVV", 25, 110, 1),
            ("56-30-320x240", "VTT", NTSC_30, 130, 1),
            ("211", "TTT", NTSC_24, 110, 0),
            ("video12", "TET", 30, 130, 1),
            ("83-24-320x240", "ETV", NTSC_24, 110, 1),
            ("video67", "TTE", 25, 120, 1),
            ("391", "TVT", 25, 110, 1),
            ("5-60-320x240", "VTT", NTSC_30, 130, 0),
            ("video90", "TTT", 25, 120, 1),
            ("video21", "VTV", 30, 130, 1),
            ("61-24-320x240", "TTT", NTSC_24, 110, 1),
            ("video34", "TVT", 25, 110, 1),
            ("240", "TTV", 30, 130, 0),
            ("77-30-320x240", "VTT", NTSC_30, 130, 1),
            ("video88", "TTT", 25, 110, 1),
            ("18-24-320x240", "TVT", NTSC_24, 110, 1),
            ("video29", "TTV", 25, 120, 1),
            ("312", "VTT", 30, 130, 1),
            ("90-30-320x240", "TTT", NTSC_30, 130, 2),
            ("video72", "TVT", 25, 110, 1),
            ("49-25-320x240", "TTT", 25, 110, 0),
        )
    ),
    _clip("130-25-320x240", "TVT", 25, 120, suffix=".avi"),
    # test tracks
    _clip("2-30-320x240", "EEE", NTSC_30, 150),
    _clip("14-30-320x240", "EEE", 30, 140, 0),
    _clip("video55", "EEE", 25, 130, away=((0.6, 0.72),)),
    _clip("404", "EEE", NTSC_24, 110, -1),
    _clip("72-25-320x240", "EEE", 25, 120, sound=False),
    _clip("video18", "EEE", 15, 100),
    _clip("video48", "TEE", 25, 120, suffix=".avi"),
)
TINY = (
    _pair("7-24-426x240", (TrackPlan("TTT", "left"), TrackPlan("TTT", "right")), NTSC_24, 36),
    _clip("102", "TTT", 25, 40, suffix=".avi", sound_extra_s=-0.6),
    _clip("102-30-320x240", "VVV", 30, 44, -1, variable=True),
    _clip("24-30-320x240-1", "TTV", NTSC_30, 50, away=((0.4, 0.6),)),
    _clip("video61", "VTT", 15, 24, 0, sound=False),
    _clip("12-25-320x240", "EEE", 25, 30),
    _clip("video18", "EEE", NTSC_30, 40, 0, picture_start_s=0.3, sound_extra_s=0.4),
)
SIZES: dict[str, tuple[Clip, ...]] = {"tiny": TINY, "small": SMALL}
STILLS = {"tiny": 48, "small": 1_800}


def clips_of(size: str) -> tuple[Clip, ...]:
    """The clips of a corpus size.

    Raises:
        UserError: no such size.
    """
    if size not in SIZES:
        raise UserError(f'Unknown size "{size}". {suggest(size, SIZES)}')
    return SIZES[size]


def release_order(clips: tuple[Clip, ...], task: Task) -> list[tuple[str, int]]:
    """Test tracks and their row counts in release order, which is not the order of names."""
    found = [
        (clip.track_name(track), clip.frames + track.extra_rows)
        for clip in clips
        for track in clip.tracks
        if track.subset(task) == SUBSETS["E"]
    ]
    return found[::2] + found[1::2]
