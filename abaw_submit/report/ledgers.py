"""What the ledgers of a run's crops say, track by track."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from abaw_submit.corpus.ledger import LEDGER_NAME, read_ledger
from abaw_submit.report.blocks import Section, Table, Text

OPEN_ROWS = 12
SUMMARY_NAME = "summary.csv"  # written by `crop`
USUAL_DIFFERENCE_ROWS = 2  # official counts are up to this far from what sound containers hold


@dataclass(frozen=True)
class TrackLedger:
    """One track's ledger in numbers.

    Attributes:
        rows: its rows.
        found: rows that show the person.
        longest_gap: most rows in a row that do not.
        sources: rows by source (`detected`, `tracked`, `nearest`, `none`).
    """

    rows: int
    found: int
    longest_gap: int
    sources: dict[str, int]


def read_ledgers(crops: Path) -> dict[str, TrackLedger]:
    """The ledgers of all tracks by name; empty if there are no crops."""
    out = {}
    for path in sorted(crops.glob(f"*/{LEDGER_NAME}")):
        ledger = read_ledger(path)
        sources = Counter(ledger.source.tolist())
        found = int(ledger.found.sum())
        out[path.parent.name] = TrackLedger(len(ledger), found, ledger.longest_gap(), dict(sources))
    return out


def decoding_table(crops: Path) -> Table | None:
    """Tracks whose video did not give what was expected: bad packets, pictures lost or without a row, or a
    count of decoded pictures more than two away from the official one. None if there is no such track.
    """
    path = crops / SUMMARY_NAME
    if not path.is_file():
        return None
    rows = []
    with path.open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            decoded, official = line.get("decoded") or "", line.get("official") or ""
            damage = [line.get(name) or "0" for name in ("bad_packets", "lost", "without_row")]
            known = decoded.isdecimal() and official.isdecimal()
            far = known and abs(int(decoded) - int(official)) > USUAL_DIFFERENCE_ROWS
            if line["track"] != "total" and (far or any(cell != "0" for cell in damage)):
                rows.append([line["track"], decoded, official, *damage])
    if not rows:
        return None
    return Table(
        ["track", "pictures decoded", "official rows", "bad packets", "pictures lost", "without a row"],
        rows,
        "Videos that did not give what was expected; their rows keep their places by the time stamps.",
        open_rows=OPEN_ROWS,
    )


def ledger_section(ledgers: dict[str, TrackLedger], decoding: Table | None = None) -> Section:
    """Where the rows' pictures come from, over all tracks, the tracks with the fewest faces, and what
    `decoding_table` found.
    """
    rows = sum(x.rows for x in ledgers.values())
    found = sum(x.found for x in ledgers.values())
    meaning = {
        "detected": "the detector found the face",
        "tracked": "between two detections",
        "nearest": "no face: the nearest row's picture stands in",
        "none": "the track has no face at all",
    }
    sources: Counter[str] = Counter()
    for one in ledgers.values():
        sources.update(one.sources)
    table = [[k, f"{sources[k]:,}", f"{sources[k] / max(rows, 1):.2%}", text] for k, text in meaning.items()]
    tracks = [
        [track, f"{x.rows:,}", f"{x.found:,}", f"{x.found / max(x.rows, 1):.1%}", f"{x.longest_gap:,}"]
        for track, x in sorted(
            ledgers.items(), key=lambda item: (item[1].found / max(item[1].rows, 1), item[0])
        )
    ]
    return Section(
        "Faces",
        [
            Text(
                f"{len(ledgers):,} tracks, {rows:,} rows, of which {found:,} ({found / max(rows, 1):.1%})"
                " show the person. No row is left out: the others take the nearest picture."
            ),
            Table(["source", "rows", "share", "meaning"], table, "Where the picture of each row comes from."),
            Table(
                ["track", "rows", "with a face", "share", "longest gap, rows"],
                tracks,
                "The tracks with the fewest faces come first.",
                open_rows=OPEN_ROWS,
            ),
            *([decoding] if decoding else []),
        ],
    )
