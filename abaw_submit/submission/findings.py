"""What a check found, grouped by kind: how many, the first five places, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from abaw_submit.submission.grammar import grammar_of

FIRST_PLACES = 5

# kind -> what is right; the order is the order of the report
PROBLEMS = {
    "empty": "a file holds a header and rows",
    "edited": "what a stage wrote is submitted as it was written",
    "encoding": 'files are UTF-8 text without a byte order mark (in Python: encoding="utf-8")',
    "line ending": 'lines end in LF (in Python: newline="\\n", in pandas: lineterminator="\\n")',
    "zip": "a zip can be opened and each of its files read",
    "limit": "files are no larger and no more than a submission can be",
    "not at root": "files sit at the root of the zip or folder",
    "stray file": "nothing else lies in the zip or folder",
    "double file": "each name comes once",
    "wrong task": "the file is for the task that was asked for",
    "dialect": "editions 1 to 3 take one file a track; later ones, and every template, ask for one file",
    "header": "the first line is the official header",
    "video header": "this track's files have no header",
    "missing track": "each test track has its file",
    "unknown track": "each track is in the template or list",
    "row count": "a track's file has the official number of rows",
    "missing row": "each row of the template comes once",
    "double row": "each row of the template comes once",
    "extra row": "rows end where the template's do",
    "order": "rows stand in the template's order",
    "location": "a row begins with <track>/<row, 5 digits>.jpg",
    "blank line": "no line is blank",
    "column count": "a row has the official number of values",
    "empty value": "each value is there",
    "NaN": "each value is finite",
    "number syntax": "values are plain numbers without spaces or quotes",
    "not an integer": "labels are written as one digit",
    "range": "values lie in the official range",
    "probabilities": "p0 + p1 is exactly 1 in floating point",
}
WARNINGS = {
    "constant column": "a column has the same value in every row",
    "class never predicted": "a class is never predicted",
    "track all the same": "a track has the same values in every row",
    "equal columns": "two columns are the same in every row",
    "label against probability": "a label is not that of the greater probability",
    "odd header": "the header is not the official one, but the template's",
    "several submissions": "the zip or folder holds more than one submission",
    "rows not checked": "nothing says how many rows a track has",
}


@dataclass(frozen=True)
class Place:
    """Where something is: any of file, line (1-based), track, row (1-based), and what was found there."""

    file: str = ""
    line: int | None = None
    track: str | None = None
    row: int | None = None
    found: str = ""

    def __str__(self) -> str:
        parts = [self.file] if self.file else []
        if self.line is not None:
            parts.append(f"line {self.line}")
        if self.track is not None:
            parts.append(self.track if self.row is None else f"{self.track} row {self.row}")
        return ": ".join(part for part in (", ".join(parts), self.found) if part)


@dataclass
class Finding:
    """All findings of one kind.

    Attributes:
        kind: one of `PROBLEMS` or `WARNINGS`.
        count: how many there are.
        places: the first five.
        placed: how many of them the places speak of: one place may stand for many rows.
    """

    kind: str
    count: int = 0
    places: list[Place] = field(default_factory=list)
    placed: int = 0

    @property
    def warning(self) -> bool:
        """True if the file is valid all the same."""
        return self.kind in WARNINGS

    @property
    def rule(self) -> str:
        """What is right (of a warning: what is suspicious)."""
        return WARNINGS.get(self.kind) or PROBLEMS[self.kind]


@dataclass(frozen=True)
class TrackSummary:
    """One track: its rows, how many have a problem, and its values in a word (means, or most frequent)."""

    track: str
    rows: int
    expected: int | None
    problems: int
    values: str


@dataclass
class Report:
    """The answer of a check.

    Attributes:
        target: what was checked.
        kind: AU, EXPR, VA, MTL, CE or AH.
        edition: whose header was expected; where editions share it, the latest of them.
        edition_columns: names of the values of a row in that edition.
        dialect: "single file" or "per-track files"; "" if not known.
        container: "file", "folder" or "zip".
        files: names of the submission files in it.
        rows: data lines read.
        tracks: one summary for each track.
    """

    target: str
    kind: str
    edition: int
    edition_columns: tuple[str, ...] = ()
    dialect: str = ""
    container: str = "file"
    files: list[str] = field(default_factory=list)
    rows: int = 0
    tracks: list[TrackSummary] = field(default_factory=list)
    _findings: dict[str, Finding] = field(default_factory=dict)

    def add(self, kind: str, place: Place, count: int = 1) -> None:
        """Note a finding; the first five places of a kind are kept."""
        finding = self._findings.setdefault(kind, Finding(kind))
        finding.count += count
        if len(finding.places) < FIRST_PLACES:
            finding.places.append(place)
            finding.placed += count

    def extend(self, kind: str, places: Iterable[Place]) -> None:
        """Note several."""
        for place in places:
            self.add(kind, place)

    @property
    def problems(self) -> list[Finding]:
        """What makes the submission invalid, in the order of `PROBLEMS`."""
        return [self._findings[kind] for kind in PROBLEMS if kind in self._findings]

    @property
    def warnings(self) -> list[Finding]:
        """What is valid but suspicious, in the order of `WARNINGS`."""
        return [self._findings[kind] for kind in WARNINGS if kind in self._findings]

    @property
    def ok(self) -> bool:
        """True if there are no problems."""
        return not self.problems

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""

        def plain(finding: Finding) -> dict[str, Any]:
            places = [
                {k: v for k, v in asdict(p).items() if v not in (None, "")} | {"text": str(p)}
                for p in finding.places
            ]
            return {"kind": finding.kind, "rule": finding.rule, "count": finding.count, "first": places}

        return {
            "target": self.target,
            "ok": self.ok,
            "task": self.kind,
            "edition": self.edition,
            "dialect": self.dialect,
            "container": self.container,
            "files": self.files,
            "rows": self.rows,
            "problems": [plain(f) for f in self.problems],
            "warnings": [plain(f) for f in self.warnings],
            "tracks": [asdict(t) for t in self.tracks],
        }


def report_lines(report: Report, tracks: bool = False) -> list[str]:
    """The report as text.

    Args:
        report: what was found.
        tracks: list all tracks, not only those with problems.
    """
    kind = f"{report.kind}, {report.dialect or 'dialect unknown'}"
    if grammar_of(report.kind, report.edition).header != grammar_of(report.kind).header:
        kind += f", edition {report.edition}"
    lines = [
        f"{report.target}: {kind}; {_count(len(report.files), 'file')},"
        f" {_count(len(report.tracks), 'track')}, {_count(report.rows, 'row')}"
    ]
    for finding in [*report.problems, *report.warnings]:
        label = "warning" if finding.warning else "problem"
        lines.append(f"  {label}: {finding.kind} ({finding.count:,}): {finding.rule}")
        lines += [f"      {place}" for place in finding.places]
        if finding.count > finding.placed:
            lines.append(f"      … {finding.count:,} in all")
    listed = [t for t in report.tracks if tracks or t.problems or t.expected not in (None, t.rows)]
    if listed:
        lines.append("  track, rows, expected, rows with problems, values")
        shown = listed if tracks else listed[:20]
        for t in shown:
            expected = "?" if t.expected is None else t.expected
            lines.append(f"      {t.track}, {t.rows}, {expected}, {t.problems}, {t.values}")
        if len(listed) > len(shown):
            lines.append(f"      … {len(listed)} tracks in all; --tracks-table lists every track")
    total = sum(f.count for f in report.problems)
    warned = f"; {_count(sum(f.count for f in report.warnings), 'warning')}" if report.warnings else ""
    lines.append(("OK" if report.ok else f"NOT VALID: {_count(total, 'problem')}") + warned)
    return lines


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
