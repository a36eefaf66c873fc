"""The overlay video: box, expression, action units and a valence-arousal trail over every frame, sound kept.

Frames are drawn at a constant rate: each tick of the output shows the frame that is on screen at that time,
so that a video with an uneven clock stays with its sound.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from abaw_submit.arrays import F32, U8
from abaw_submit.errors import UserError
from abaw_submit.faces.decode import VideoReader
from abaw_submit.kinds import THRESHOLD
from abaw_submit.progress import Progress, quiet
from abaw_submit.report.watch import Watched
from abaw_submit.store import atomic_path
from abaw_submit.tasks import AU, EXPR

MIN_SIDE_PX, MAX_SIDE_PX = (
    640,
    1280,
)  # long side of the output; small videos are enlarged so that text is readable
TRAIL_S = 2.0
MAX_RATE_HZ = 60.0
FONT = cv2.FONT_HERSHEY_DUPLEX
INK, SHADE, BOX, LOST, DOT = (255, 255, 255), (20, 20, 20), (90, 200, 90), (150, 150, 150), (60, 150, 255)


def write_overlay(watched: Watched, out: Path, progress: Progress = quiet) -> tuple[int, bool]:
    """Write the video.

    Args:
        watched: the predictions.
        out: the file to write; its suffix gives the container (`.mp4`).
        progress: wraps the frames.

    Returns:
        Frames written, and whether there is sound.

    Raises:
        UserError: ffmpeg cannot write such a file.
    """
    import ffmpeg
    import imageio_ffmpeg

    start_s, sound, rate_hz = _clock(watched.video)
    with VideoReader(watched.video) as reader:
        ticks = _ticks(reader, watched, start_s, rate_hz)
        first = next(ticks, None)
        if first is None:
            raise UserError(f"{watched.video} has no frame that can be decoded.")
        height, width = first[1].shape[:2]
        picture = ffmpeg.input(
            "pipe:", format="rawvideo", pix_fmt="bgr24", s=f"{width}x{height}", framerate=f"{rate_hz:.6f}"
        )
        streams = [picture.video]
        if sound:
            streams.append(ffmpeg.input(str(watched.video)).audio)
        with atomic_path(out) as temporary:
            # "-shortest" is left out: sound may go on after the last picture, as in the original
            job = ffmpeg.output(
                *streams,
                str(temporary),
                vcodec="libx264",
                pix_fmt="yuv420p",
                crf=21,
                acodec="aac",
                loglevel="error",
            ).overwrite_output()
            process = job.run_async(cmd=imageio_ffmpeg.get_ffmpeg_exe(), pipe_stdin=True, pipe_stderr=True)
            frames = 0
            try:
                for _, image in progress(_chain(first, ticks), None, "overlay"):
                    process.stdin.write(image.tobytes())
                    frames += 1
            except BrokenPipeError:
                pass  # ffmpeg stopped: it says why below
            finally:
                process.stdin.close()
                problem = process.stderr.read().decode(errors="replace").strip()
                process.wait()
            if process.returncode:
                raise UserError(
                    f"{out} cannot be written: {problem.splitlines()[-1] if problem else 'ffmpeg failed'}."
                )
    return frames, sound


def _chain(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from rest


def _clock(video: Path) -> tuple[float, bool, float]:
    """When the file starts on its own clock, whether it has sound, and the rate to draw at."""
    with av.open(str(video)) as container:
        start_s = (container.start_time or 0) / 1_000_000
        stream = container.streams.video[0]
        rate = stream.average_rate or stream.guessed_rate or 30
        return start_s, bool(container.streams.audio), float(min(max(float(rate), 1.0), MAX_RATE_HZ))


def _ticks(reader: VideoReader, watched: Watched, start_s: float, rate_hz: float) -> Iterator[tuple[int, U8]]:
    """Number and drawn picture of each tick of the output."""
    tick, shown = 0, None
    for frame in reader:
        if frame.row > len(watched.ledger):
            break
        # a frame is on screen until the next one comes
        while shown is not None and start_s + tick / rate_hz < frame.time_s - 0.5 / rate_hz:
            yield tick, shown
            tick += 1
        image, scale = frame.reduced(MAX_SIDE_PX)
        grown = max(1.0, MIN_SIDE_PX / max(image.shape[:2]))
        if grown > 1:
            size = tuple(round(side * grown / 2) * 2 for side in image.shape[1::-1])
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_CUBIC), np.uint8)
        drawn = draw(image, watched, frame.row - 1, scale * grown)
        while shown is None and start_s + tick / rate_hz < frame.time_s - 0.5 / rate_hz:
            yield tick, drawn  # the sound starts before the picture
            tick += 1
        shown = drawn
    if shown is not None:
        yield tick, shown


def draw(image: U8, watched: Watched, k: int, scale: float) -> U8:
    """Draw the predictions of row k (0-based) over its picture.

    Args:
        image: (height, width, 3) BGR; changed in place.
        watched: the predictions.
        k: index of the row.
        scale: px of the picture per px of the ledger's boxes.
    """
    ledger, unit = watched.ledger, max(image.shape[:2]) / 640
    found = bool(ledger.found[k])
    x, y, w, h = (round(float(v[k]) * scale) for v in (ledger.x, ledger.y, ledger.w, ledger.h))
    boxed = bool(w and h)
    if boxed:
        cv2.rectangle(
            image, (x, y), (x + w, y + h), BOX if found else LOST, max(1, round(2 * unit)), cv2.LINE_AA
        )
    if "EXPR" in watched.scores:
        row = watched.scores["EXPR"][k]
        best = int(row.argmax())
        text, line = f"{EXPR.columns[best]} {row[best]:.0%}", round(20 * unit)
        # without a box it stands below the words "no face"
        left, line = (max(4, x), max(line, y - 6)) if boxed else (round(8 * unit), 2 * line + 4)
        _label(image, text, left, line, unit)
    if "AU" in watched.scores:
        _units(image, watched.scores["AU"][k], unit)
    if "VA" in watched.scores:
        _trail(image, watched, k, unit)
    if not found:
        _label(image, "no face", round(8 * unit), round(20 * unit), unit)
    return image


def _units(image: U8, row: F32, unit: float) -> None:
    """A bar for every action unit down the left side, brighter where it is said to be there."""
    height = image.shape[0]
    step = min(round(20 * unit), (height - 8) // (AU.outputs + 1))
    top, size = height - step * AU.outputs - 4, step * 0.023
    wide = round(46 * unit)
    _shade(image, 0, top - 4, round(62 * unit) + wide, height)
    for k, value in enumerate(row):
        there = value >= THRESHOLD
        line, colour = top + step * k, BOX if there else LOST
        cv2.putText(
            image,
            AU.columns[k],
            (round(4 * unit), line + round(step * 0.75)),
            FONT,
            size,
            colour,
            1,
            cv2.LINE_AA,
        )
        left = round(54 * unit)
        cv2.rectangle(
            image, (left, line + 3), (left + round(wide * float(value)), line + step - 3), colour, -1
        )


def _trail(image: U8, watched: Watched, k: int, unit: float) -> None:
    """Valence to the right, arousal up; the last seconds as a line that fades."""
    values, times = watched.scores["VA"], watched.ledger.time_s
    side = round(120 * unit)
    left, top = image.shape[1] - side - round(8 * unit), image.shape[0] - side - round(8 * unit)
    _shade(image, left, top, left + side, top + side)
    middle = (left + side // 2, top + side // 2)
    cv2.line(image, (left, middle[1]), (left + side, middle[1]), LOST, 1)
    cv2.line(image, (middle[0], top), (middle[0], top + side), LOST, 1)
    first = int(np.searchsorted(times, times[k] - TRAIL_S))
    places = [
        (round(middle[0] + float(v) * side * 0.48), round(middle[1] - float(a) * side * 0.48))
        for v, a in np.clip(values[first : k + 1], -1, 1)
    ]
    for n in range(1, len(places)):
        part = n / len(places)
        colour = tuple(int(c * part) for c in DOT)
        cv2.line(image, places[n - 1], places[n], colour, max(1, round(2 * unit)), cv2.LINE_AA)
    cv2.circle(image, places[-1], max(2, round(4 * unit)), DOT, -1, cv2.LINE_AA)
    small = 0.36 * unit
    cv2.putText(image, "valence", (left + 3, middle[1] - 3), FONT, small, INK, 1, cv2.LINE_AA)
    cv2.putText(image, "arousal", (middle[0] + 3, top + round(12 * unit)), FONT, small, INK, 1, cv2.LINE_AA)


def _label(image: U8, text: str, x: int, y: int, unit: float) -> None:
    size = 0.5 * unit
    (width, height), _ = cv2.getTextSize(text, FONT, size, 1)
    x = min(x, image.shape[1] - width - 4)
    _shade(image, x - 3, y - height - 4, x + width + 3, y + 5)
    cv2.putText(image, text, (x, y), FONT, size, INK, 1, cv2.LINE_AA)


def _shade(image: U8, x0: int, y0: int, x1: int, y1: int) -> None:
    """Darken a part of the picture, so that light text on it can be read."""
    part = image[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)]
    part[:] = (part * 0.4 + np.array(SHADE) * 0.6).astype(np.uint8)
