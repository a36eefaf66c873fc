"""People's behaviour, the raters and the voice: known answers and what can be known from what."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from abaw_submit.demo.annotate import annotation_text, gaps, rate
from abaw_submit.demo.dynamics import RATE_HZ, Behaviour, at_times, behave, drift, expression_deck, follow
from abaw_submit.demo.people import make_person, rng_for
from abaw_submit.demo.voice import RATE_HZ as SOUND_HZ
from abaw_submit.demo.voice import record, speak
from abaw_submit.tasks import AU, EXPR, VA


def crowd(people: int = 30, seconds: float = 12.0) -> list[Behaviour]:
    deck = expression_deck(rng_for(0, "deck"))
    return [
        behave(rng_for(0, "b", k), make_person(0, k), seconds, list(islice(deck, 8))) for k in range(people)
    ]


def explained(x: np.ndarray, y: np.ndarray) -> float:
    """Share of the variance of y that a linear fit on x explains."""
    x = np.c_[x, np.ones(len(x))]
    rest = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    return float(1 - rest.var() / y.var())


def test_drift_has_unit_variance_and_the_memory_asked_for() -> None:
    x = drift(np.random.default_rng(0), 400_000, seconds=0.5)
    assert x.std() == pytest.approx(1, abs=0.05)
    lag = round(0.5 * RATE_HZ)
    assert np.mean(x[:-lag] * x[lag:]) == pytest.approx(np.exp(-1), abs=0.05)


def test_follow_starts_settled_and_rises_by_the_time_constant() -> None:
    step = np.r_[np.zeros(10), np.ones(600)]
    followed = follow(step, 1.0)
    assert followed[:10] == pytest.approx(0)
    assert followed[10 + round(RATE_HZ)] == pytest.approx(1 - np.exp(-1), abs=0.01)
    assert follow(np.full(5, 3.0), 1.0) == pytest.approx(3.0)


def test_the_deck_deals_every_expression_within_eleven() -> None:
    deck = list(islice(expression_deck(np.random.default_rng(0)), 110))
    for at in range(0, 110, 11):
        assert set(deck[at : at + 11]) == set(range(8))


def test_face_and_voice_each_tell_a_part_of_valence_and_arousal() -> None:
    people = crowd()
    face = np.concatenate([np.c_[b.action + b.mood, b.lids] for b in people])
    voice = np.concatenate([np.c_[b.voice_valence, b.voice_arousal] for b in people])
    for name in ("valence", "arousal"):
        truth = np.concatenate([getattr(b, name) for b in people])
        by_face, by_both = explained(face, truth), explained(np.c_[face, voice], truth)
        assert 0.3 < by_face < 0.75, name
        assert by_both > by_face + 0.1, name


def test_expressions_can_be_told_by_their_action_units() -> None:
    people = crowd()
    action = np.concatenate([b.action for b in people])
    kind = np.concatenate([b.expression for b in people])
    centres = np.stack([action[kind == k].mean(0) for k in range(8)])
    nearest = np.argmin(((action[:, None] - centres) ** 2).sum(-1), axis=1)
    assert 0.45 < (nearest == kind).mean() < 0.95


def test_raters_are_mostly_right_and_late() -> None:
    for k, behaviour in enumerate(crowd(6)):
        times_s = np.arange(300) / 25
        labels = rate(rng_for(0, "rater", k), behaviour, times_s)
        truth = at_times(np.c_[behaviour.valence, behaviour.arousal], times_s)
        assert np.corrcoef(labels.va[:, 0], truth[:, 0])[0, 1] > 0.8
        assert np.abs(labels.va[5:] - truth[:-5]).mean() < np.abs(labels.va[:-5] - truth[5:]).mean()
        shown = at_times(behaviour.action, times_s) > 0.36
        assert 0.85 < (labels.au == shown).mean() < 1


def test_side_people_are_rated_only_while_they_are_there() -> None:
    seen = np.zeros(200, bool)
    seen[80:120] = True
    for task in (AU, EXPR, VA):
        missing = gaps(np.random.default_rng(0), task, 200, seen)
        assert missing[~seen].all()
        assert not missing.all()


def test_valence_is_rated_on_while_the_person_is_briefly_away() -> None:
    seen = np.ones(200, bool)
    seen[90:100] = False
    rngs = [np.random.default_rng(k) for k in range(20)]
    assert min(gaps(rng, VA, 200, seen).sum() for rng in rngs) == 0
    assert all(gaps(rng, AU, 200, seen)[90:100].all() for rng in rngs)


def test_the_official_grammar_of_annotation_lines() -> None:
    behaviour = crowd(1)[0]
    labels = rate(np.random.default_rng(0), behaviour, np.arange(3) / 25)
    missing = np.array([False, True, False])
    va = annotation_text(VA, labels, missing, 6).splitlines()
    assert va[0] == "valence,arousal"
    assert va[2] == "-5,-5"
    assert va[1] == f"{labels.va[0, 0]:.3f},{labels.va[0, 1]:.3f}"
    assert annotation_text(EXPR, labels, missing, 6).splitlines()[2] == "-1"
    au = annotation_text(AU, labels, missing, 6).splitlines()
    assert "-1" in au[2].split(",")
    assert [int(v) for v in au[1].split(",")] == labels.au[0].tolist()


def steady(valence: float, arousal: float, seconds: float = 3.0) -> Behaviour:
    n = round(seconds * RATE_HZ)
    same = np.ones(n)
    return Behaviour(
        valence=valence * same,
        arousal=arousal * same,
        expression=np.zeros(n, np.int64),
        action=np.zeros((n, 12)),
        mood=np.zeros((n, 12)),
        lids=same,
        speech=same,
        voice_valence=valence * same,
        voice_arousal=arousal * same,
    )


def voice_of(valence: float, arousal: float) -> tuple[float, float, float]:
    """Pitch (Hz), energy, and share of the energy above 1 kHz of a steady voice."""
    times_s = np.arange(2 * SOUND_HZ) / SOUND_HZ
    x = speak(np.random.default_rng(0), make_person(0, 1), steady(valence, arousal), times_s)
    power = np.abs(np.fft.rfft(x * np.hanning(len(x)))) ** 2
    hz = np.fft.rfftfreq(len(x), 1 / SOUND_HZ)
    low = (hz > 60) & (hz < 400)
    fundamental = float(hz[low][np.argmax(power[low])])
    return fundamental, float(np.mean(x**2)), float(power[hz > 1000].sum() / power.sum())


def test_pitch_and_energy_follow_arousal_and_timbre_follows_valence() -> None:
    calm, excited = voice_of(0, -0.5), voice_of(0, 0.5)
    assert excited[0] / calm[0] == pytest.approx(2**0.75, rel=0.1)
    assert excited[1] > 5 * calm[1]
    sad, glad = voice_of(-0.6, 0), voice_of(0.6, 0)
    assert glad[2] > 2 * sad[2]
    assert glad[0] == pytest.approx(sad[0], rel=0.05)


def test_pauses_are_silent_but_for_the_room() -> None:
    behaviour = steady(0, 0)
    behaviour.speech[:] = 0
    times_s = np.arange(SOUND_HZ) / SOUND_HZ
    voice = speak(np.random.default_rng(0), make_person(0, 1), behaviour, times_s)
    assert not voice.any()
    room = record(np.random.default_rng(0), voice)
    assert room.dtype == np.float32
    assert 0 < np.abs(room).max() < 0.05


def test_loudness_of_the_recorded_voice_tells_arousal_across_people() -> None:
    loudness, arousal = [], []
    for k, behaviour in enumerate(crowd(16, 8.0)):
        times_s = np.arange(8 * SOUND_HZ) / SOUND_HZ
        voice = speak(rng_for(0, "voice", k), make_person(0, k), behaviour, times_s)
        sound = record(rng_for(0, "room", k), voice).astype(float)
        second = SOUND_HZ
        loudness += [np.log(np.mean(sound[at : at + second] ** 2)) for at in range(0, 8 * second, second)]
        arousal += at_times(behaviour.arousal, np.arange(8) + 0.5).tolist()
    assert 0.35 < np.corrcoef(loudness, arousal)[0, 1] < 0.95
