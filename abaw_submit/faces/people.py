"""Which followed face is which track: the main person, or the persons left and right.

Works on a whole video's tracklets. Sides are settled where both persons are seen at once; a face
seen alone goes to the person it looks like and whose place it is in.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from abaw_submit.corpus.tracks import split_track
from abaw_submit.faces.appearance import Appearance, likeness
from abaw_submit.faces.detect import BOX, SCORE
from abaw_submit.faces.follow import Tracklet

MIN_SIZE = 0.4  # of the person's usual size: smaller faces are bystanders in the background
MAX_SIZE = 2.5
NEAR_ROWS = 30  # a short piece this close to a longer one of the same place and size is not a false face
MAIN, LEFT, RIGHT = "main", "left", "right"


class Person:
    """What the choice needs to know of one tracklet."""

    def __init__(self, tracklet: Tracklet) -> None:
        faces = np.stack(tracklet.faces).astype(np.float64)
        boxes = faces[:, BOX]
        self.tracklet = tracklet
        self.first, self.last, self.rows = tracklet.first, tracklet.last, len(tracklet)
        self.centres = boxes[:, :2] + boxes[:, 2:] / 2
        self.sizes = boxes[:, 2:].max(1)
        self.size = float(np.median(self.sizes))
        self.x = float(np.median(self.centres[:, 0]))
        self.appearance = tracklet.appearance
        # duration x size x certainty x steadiness
        shake = np.abs(np.diff(self.centres, n=2, axis=0)).mean() / self.size if self.rows > 2 else 1.0
        self.weight = self.rows * self.size * float(faces[:, SCORE].mean()) / (1 + 10 * shake)

    def common(self, other: Person) -> tuple[int, int]:
        """Rows (first, last) in which both are seen; last < first if none."""
        return max(self.first, other.first), min(self.last, other.last)

    def overlaps(self, other: Person) -> int:
        """Number of rows in which both are seen."""
        first, last = self.common(other)
        return max(0, last - first + 1)

    def continues(self, other: Person) -> bool:
        """True if one is where the other one was shortly before or after, at the same size."""
        early, late = (self, other) if self.first < other.first else (other, self)
        if not 0 < late.first - early.last <= NEAR_ROWS:
            return False
        size = (early.sizes[-1] + late.sizes[0]) / 2
        moved = np.abs(early.centres[-1] - late.centres[0]).max() / size
        ratio = early.sizes[-1] / late.sizes[0]
        return bool(moved < 0.5 and 0.7 < ratio < 1.4)


def without_false(people: Sequence[Person], min_rows: int) -> list[Person]:
    """Leave out false detections: short, and unlike what is around them in place and size."""
    long = [p for p in people if p.rows >= min_rows]
    if not long:
        return []
    usual = _weighted_median([p.size for p in long], [p.rows for p in long])
    kept = []
    for person in people:
        near = any(person.continues(other) for other in long if other is not person)
        odd_size = not MIN_SIZE < person.size / usual < MAX_SIZE
        if near or (person.rows >= min_rows and not (odd_size and person.rows < 3 * min_rows)):
            kept.append(person)
    return kept


def choose(tracks: Sequence[str], tracklets: Sequence[Tracklet], min_rows: int) -> dict[str, list[Tracklet]]:
    """The tracklets of each track, in the order in which they have a claim to a row.

    Args:
        tracks: all tracks of one video, by their official names.
        tracklets: all tracklets of the video.
        min_rows: see `CropSettings.min_rows`.
    """
    people = without_false([Person(t) for t in tracklets], min_rows)
    sides = {track: split_track(track)[1] for track in tracks}
    if not any(sides.values()):
        chosen = _main(people)
        return {track: [p.tracklet for p in chosen] for track in tracks}
    has_main = None in sides.values()
    side = next(s for s in sides.values() if s)
    labels = _label_sides(people, default=(LEFT if side == RIGHT else RIGHT) if has_main else None)
    assignment: dict[str, list[Tracklet]] = {}
    for track, own in sides.items():
        wanted = own or (LEFT if side == RIGHT else RIGHT)
        members = [p for p, label in zip(people, labels, strict=True) if label == wanted]
        assignment[track] = [p.tracklet for p in _main(members)]
    return assignment


def _main(people: Sequence[Person]) -> list[Person]:
    """The main person's pieces: the heaviest, then all that fit to it in appearance, time and size."""
    if not people:
        return []
    chosen: list[Person] = []
    appearance = max(people, key=lambda p: (p.weight, -p.first, -p.x)).appearance
    claim = {id(p): p.weight * (0.25 + max(0.0, likeness(p.appearance, appearance))) for p in people}
    for person in sorted(people, key=lambda p: (-claim[id(p)], p.first, p.x)):
        if chosen:
            usual = _weighted_median([p.size for p in chosen], [p.rows for p in chosen])
            taken = sum(person.overlaps(other) for other in chosen)
            follows = any(person.continues(other) for other in chosen)
            if taken > 0.5 * person.rows or (person.size < MIN_SIZE * usual and not follows):
                continue
        chosen.append(person)
    return chosen


def _label_sides(people: Sequence[Person], default: str | None) -> list[str]:
    """LEFT or RIGHT for each; `default` for those never seen together with another (None: by place)."""
    if not people:
        return []
    usual = _weighted_median([p.size for p in people], [p.rows * p.size for p in people])
    votes = np.zeros(len(people))
    for i, a in enumerate(people):
        for j in range(i):
            b = people[j]
            first, last = a.common(b)
            if last < first or min(a.size, b.size) < MIN_SIZE * usual:
                continue
            ahead = a.centres[first - a.first : last + 1 - a.first, 0]
            behind = b.centres[first - b.first : last + 1 - b.first, 0]
            side = np.sign(ahead - behind).sum()
            votes[i] += side
            votes[j] -= side
    seen = np.abs(votes) > 0
    rows = np.array([p.rows for p in people], np.float64)
    x = np.array([p.x for p in people])
    right = votes > 0
    middle = x.mean()
    for _ in range(3):  # places and appearances of the two persons, then the doubtful faces again
        appearances, places = [], []
        for member in (seen & ~right, seen & right):
            appearances.append(_sum_appearance([p for p, m in zip(people, member, strict=True) if m]))
            places.append(np.average(x[member], weights=rows[member]) if member.any() else middle)
        apart = max(places[1] - places[0], 1e-6)
        for i, person in enumerate(people):
            like = likeness(person.appearance, appearances[1]) - likeness(person.appearance, appearances[0])
            place = np.clip((2 * x[i] - places[0] - places[1]) / apart, -1, 1) if seen.any() else 0.0
            share = votes[i] / rows[i]
            if seen[i]:
                right[i] = 0.5 * share + like > 0  # a clearly different appearance outweighs the side
            elif default is not None:
                right[i] = (like > 0.3) if default == LEFT else not (like < -0.3)
            else:
                right[i] = (0.5 * place + like > 0) if seen.any() else x[i] > middle
    return [RIGHT if r else LEFT for r in right]


def _sum_appearance(people: Sequence[Person]) -> Appearance | None:
    known = [p.appearance for p in people if p.appearance is not None]
    return np.sum(known, axis=0) if known else None


def _weighted_median(values: Sequence[float], weights: Sequence[float]) -> float:
    order = np.argsort(values)
    cumulative = np.cumsum(np.asarray(weights, np.float64)[order])
    return float(np.asarray(values)[order][np.searchsorted(cumulative, cumulative[-1] / 2)])
