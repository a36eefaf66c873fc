"""Make one clip: simulate its people, film and record them, write what the raters saw."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from abaw_submit.arrays import F64
from abaw_submit.demo import scene, voice
from abaw_submit.demo.annotate import Labels, annotation_text, gaps, rate
from abaw_submit.demo.clips import NARROW, Clip, TrackPlan
from abaw_submit.demo.dynamics import RATE_HZ, Behaviour, at_times, behave, expression_deck
from abaw_submit.demo.media import Sound, write_video
from abaw_submit.demo.people import make_person, rng_for
from abaw_submit.demo.scene import Actor
from abaw_submit.store import write_text
from abaw_submit.tasks import AU_COLUMNS, TASKS

EDITION = 6


def draw_episodes(clips: tuple[Clip, ...], seed: int) -> list[list[list[int]]]:
    """The expressions that each track of each clip shows, one in about a second and a half.

    They are dealt from one deck, so that every expression comes up often enough in a small corpus.
    """
    deck = expression_deck(rng_for(seed, "deck"))
    counts = [max(2, round(clip.frames / float(clip.rate) / 1.4)) for clip in clips]
    return [
        [[next(deck) for _ in range(count)] for _ in clip.tracks]
        for clip, count in zip(clips, counts, strict=True)
    ]


def cast(clip: Clip, episodes: list[list[int]], seed: int) -> tuple[F64, list[Actor]]:
    """Simulate a clip's people, without drawing anything.

    Args:
        clip: the clip.
        episodes: the expressions of each track.
        seed: the corpus seed.

    Returns:
        (frames,) seconds from the first picture on, and one actor for each track.
    """
    shown_s = _frame_times(clip, seed)
    length_s = float(shown_s[-1]) + 1 / float(clip.rate)
    actors = []
    for track, kinds in zip(clip.tracks, episodes, strict=True):
        name = clip.track_name(track)
        person = make_person(seed, track.who or name)
        behaviour = behave(rng_for(seed, name, "behaviour"), person, length_s, kinds)
        motion = rng_for(seed, name, "motion")
        place, visible = _place(clip, track), _visible(track, clip.frames)
        actors.append(scene.film_actor(motion, person, behaviour, shown_s, place, visible, track.occluded))
    return shown_s, actors


def track_labels(clip: Clip, track: TrackPlan, actor: Actor, shown_s: F64, seed: int) -> tuple[Labels, F64]:
    """What the raters say of a track, and (rows,) the time of each annotation row."""
    rows, step = clip.frames + track.extra_rows, 1 / float(clip.rate)
    row_s = np.r_[shown_s, shown_s[-1] + step * np.arange(1, 3)][:rows]
    return rate(rng_for(seed, clip.track_name(track), "rater"), actor.behaviour, row_s), row_s


def make_clip(clip: Clip, episodes: list[list[int]], out: Path, seed: int) -> list[Path]:
    """Write one clip's video, annotations and truth.

    Args:
        clip: what to make.
        episodes: the expressions of each track.
        out: the corpus folder.
        seed: the corpus seed.

    Returns:
        The files written.
    """
    shown_s, actors = cast(clip, episodes, seed)
    written: list[Path] = []
    for track, actor in zip(clip.tracks, actors, strict=True):
        written += _write_labels(clip, track, actor, shown_s, out, seed)
    video = out / "videos" / f"{clip.name}{clip.suffix}"
    pictures = scene.film(rng_for(seed, clip.name, "film"), actors[::-1], shown_s, clip.size)
    sound = _sound(clip, actors, float(shown_s[-1]) + 1 / float(clip.rate), seed)
    whole_frames = not clip.variable and not clip.picture_start_s
    start_s = shown_s + clip.picture_start_s
    write_video(video, pictures, start_s, clip.size, clip.rate, sound, whole_frames)
    return [video, *written]


def _frame_times(clip: Clip, seed: int) -> F64:
    """(frames,) seconds from the first picture on."""
    if not clip.variable:
        return np.arange(clip.frames) / float(clip.rate)
    steps = rng_for(seed, clip.name, "clock").choice([0.4, 0.8, 1.0, 1.25, 2.0], clip.frames)
    steps[0] = 0
    return np.round(np.cumsum(steps) / float(clip.rate), 4)


def _visible(track: TrackPlan, frames: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    share = (np.arange(frames) + 0.5) / frames
    visible = (share >= track.visible[0]) & (share < track.visible[1])
    for start, end in track.away:
        visible &= ~((share >= start) & (share < end))
    return visible


def _place(clip: Clip, track: TrackPlan) -> tuple[float, float, float]:
    """Centre x, y and half face width, px."""
    width, height = clip.size
    if len(clip.tracks) == 1:
        return width * (0.5 if clip.size == NARROW else 0.45), 0.47 * height, 0.205 * height
    both_sided = all(t.side for t in clip.tracks)
    if track.side:
        return width * (0.25 if track.side == "left" else 0.75), 0.48 * height, 0.180 * height
    other = next(t.side for t in clip.tracks if t.side)
    assert not both_sided
    return width * (0.34 if other == "right" else 0.66), 0.46 * height, 0.200 * height


def _sound(clip: Clip, actors: list[Actor], length_s: float, seed: int) -> Sound | None:
    """What the microphone hears: everybody who is there most of the time, from `sound_start_s` on."""
    if not clip.sound:
        return None
    end_s = clip.picture_start_s + length_s + clip.sound_extra_s
    clock = np.arange(round((end_s - clip.sound_start_s) * voice.RATE_HZ)) / voice.RATE_HZ
    times_s = clock + clip.sound_start_s - clip.picture_start_s
    total = np.zeros(len(times_s))
    heard = [a for a in actors if a.visible.mean() > 0.6]
    for k, actor in enumerate(heard):
        rng = rng_for(seed, clip.name, "voice", k)
        total += voice.speak(rng, actor.person, actor.behaviour, times_s) / np.sqrt(len(heard))
    return Sound(voice.record(rng_for(seed, clip.name, "room"), total), voice.RATE_HZ, clip.sound_start_s)


def _write_labels(
    clip: Clip, track: TrackPlan, actor: Actor, shown_s: F64, out: Path, seed: int
) -> list[Path]:
    name, rows = clip.track_name(track), clip.frames + track.extra_rows
    labels, row_s = track_labels(clip, track, actor, shown_s, seed)
    seen = np.r_[actor.visible, actor.visible[-1:], actor.visible[-1:]][:rows]
    written = [_write_truth(out / "truth" / f"{name}.csv", actor, row_s, clip.frames)]
    for task in TASKS.values():
        subset = track.subset(task)
        if subset is None:
            continue
        missing = gaps(rng_for(seed, name, task.name, "gaps"), task, rows, seen)
        base = out / ("truth" if subset == "Test_Set" else "annotations")
        path = base / task.challenge_folder(EDITION) / subset / f"{name}.txt"
        write_text(path, annotation_text(task, labels, missing, EDITION))
        written.append(path)
    return written


def _write_truth(path: Path, actor: Actor, row_s: F64, frames: int) -> Path:
    """What a perfect observer would know: where the face is and what was really felt and shown."""
    behaviour: Behaviour = actor.behaviour
    clean = np.c_[
        at_times(behaviour.valence, row_s),
        at_times(behaviour.arousal, row_s),
        at_times(behaviour.action, row_s),
    ]
    index = np.clip(np.round(row_s * RATE_HZ).astype(int), 0, len(behaviour.expression) - 1)
    lines = ["row,time_s,visible,x,y,w,h,expression,valence,arousal," + ",".join(AU_COLUMNS)]
    for k, values in enumerate(clean):
        shown = k < frames and bool(actor.visible[k])
        box = actor.poses[k].box() if shown else (0.0,) * 4
        cells = [f"{k + 1}", f"{row_s[k]:.4f}", f"{int(shown)}", *(f"{b:.1f}" for b in box)]
        cells += [f"{behaviour.expression[index[k]]}", *(f"{v + 0.0:.3f}" for v in values)]
        lines.append(",".join(cells))
    write_text(path, "\n".join(lines) + "\n")
    return path
