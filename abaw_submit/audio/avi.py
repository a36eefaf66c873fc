"""How late the sound of an AVI is: the delay of its codec, which the container cannot say.

MP4 and Matroska say that a coded sound begins before zero (an edit list, a negative timestamp); AVI has no
words for it, so the sound comes late by what its encoder and decoder need together. ffmpeg, when it writes an
AVI, holds the pictures back by as many whole frames as that takes, and leaves the slots after the first one
empty; other programs do not. Both are told apart here by the empty slots.
"""

from __future__ import annotations

import math
from fractions import Fraction

import av
import av.error

VERSION = "avi 1"  # change it when the shift changes
# samples from a sound to its decoded copy: LAME's 576 and the decoder's 529; of the others, the filter banks'
DELAY_SAMPLES = {"mp3": 1105, "mp3float": 1105, "mp2": 481, "mp2float": 481, "aac": 1024, "ac3": 256}
_PACKETS = 200  # looked at for the first two pictures


def avi_shift_s(path: str) -> float:
    """Seconds to add to the timestamps of a file's sound to fit its pictures; 0 for other containers.

    Args:
        path: a media file.
    """
    try:
        with av.open(path, metadata_errors="replace") as container:
            if container.format.name != "avi" or not container.streams.audio:
                return 0.0
            sound = container.streams.audio[0]
            if sound.codec_context is None or not sound.codec_context.sample_rate:
                return 0.0
            delay = DELAY_SAMPLES.get(sound.codec_context.name, 0)
            late = Fraction(delay, sound.codec_context.sample_rate)
            return float(_held_back(container, late) - late)
    except (av.error.FFmpegError, OSError, ValueError):
        return 0.0


def _held_back(container: av.container.InputContainer, late: Fraction) -> Fraction:
    """Seconds by which the pictures were held back for a sound that is late; 0 if they were not."""
    if not container.streams.video:
        return Fraction(0)
    picture = container.streams.video[0]
    slot = picture.time_base
    if not slot:
        return Fraction(0)
    wanted = math.ceil(late / slot)
    places: list[int] = []
    for count, packet in enumerate(container.demux(picture)):
        if packet.size and packet.dts is not None:
            places.append(packet.dts)
        if len(places) == 2 or count > _PACKETS:
            break
    held = len(places) == 2 and places[1] - places[0] - 1 == wanted
    return wanted * slot if held else Fraction(0)
