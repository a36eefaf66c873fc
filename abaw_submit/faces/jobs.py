"""What is to be cropped: which tracks of which videos, and how many official rows each has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from abaw_submit.corpus.rows import official_rows
from abaw_submit.corpus.tracklists import read_tracks
from abaw_submit.corpus.tracks import split_track


@dataclass(frozen=True)
class VideoJob:
    """One video and its tracks.

    Attributes:
        video: the media file; None only where `pictures` stand in for it.
        tracks: official row count by track; None means one row for each decoded frame.
        table: faces found elsewhere (an OpenFace CSV) that take the detector's place.
        pictures: by track, a folder of crops made elsewhere that are taken as they are.
    """

    video: Path | None
    tracks: dict[str, int | None]
    table: Path | None = None
    pictures: dict[str, Path] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What to call it in messages: the video's file name, or its tracks."""
        return self.video.name if self.video else ", ".join(self.tracks)


def wanted_tracks(sources: Sequence[Path]) -> dict[str, int | None]:
    """Tracks and row counts of all sources, in name order; where sources differ, the most rows count.

    Args:
        sources: annotation roots or folders, templates, or lists of test tracks (no row counts).

    Raises:
        UserError: a source is malformed.
    """
    tracks: dict[str, int | None] = {}
    for source in sources:
        rows = read_tracks(source) if source.is_file() else official_rows(source)
        for track, count in rows.items():
            known = tracks.get(track)
            tracks[track] = count if known is None else max(known, count or 0)
    return {track: tracks[track] for track in sorted(tracks)}


def plan_jobs(
    videos: Sequence[Path], tracks: dict[str, int | None] | None
) -> tuple[list[VideoJob], list[str]]:
    """One job per video that has a wanted track, in name order, and the tracks that have no video.

    Args:
        videos: the media files, sorted by name.
        tracks: wanted tracks with row counts, or None: one track per video, named like it.
    """
    if tracks is None:
        return [VideoJob(video, {video.stem: None}) for video in videos], []
    by_name = {video.stem: video for video in videos}
    jobs: dict[str, dict[str, int | None]] = {}
    missing = []
    for track, rows in tracks.items():
        name = next((n for n in (track, split_track(track)[0]) if n in by_name), None)
        if name is None:
            missing.append(track)
        else:
            jobs.setdefault(name, {})[track] = rows
    return [VideoJob(by_name[name], jobs[name]) for name in sorted(jobs)], missing
