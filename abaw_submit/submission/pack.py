"""Zips that are the same byte for byte, checked before and after they are written."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from abaw_submit.corpus.lines import LARGEST_BYTES
from abaw_submit.errors import ProblemsFound, UserError
from abaw_submit.store import RECORD_NAME, Stage, atomic_path, sha256_file, write_json
from abaw_submit.submission.check import check
from abaw_submit.submission.expected import ExpectedRows
from abaw_submit.submission.findings import Report
from abaw_submit.submission.provenance import provenance, refuse_edited
from abaw_submit.textfile import read_json

_DATE = (1980, 1, 1, 0, 0, 0)  # the first a zip can name
_LEVEL = 6


def sidecar_path(out: Path | str) -> Path:
    """Where the description of a zip lies: `<zip>.json`."""
    out = Path(out)
    return out.with_name(f"{out.name}.json")


def pack(
    files: Sequence[Path | str],
    out: Path | str,
    kind: str,
    asked: ExpectedRows | None = None,
    edition: int | None = None,
    rows_source: Path | None = None,
) -> Report:
    """Check files, zip them with fixed dates in name order, and check the zip again.

    Args:
        files: prediction files, or folders of them.
        out: the zip; `<zip>.json` beside it gets sha256 and where each file came from.
        kind: AU, EXPR, VA, MTL, CE or AH.
        asked: what the submission has to hold; None leaves completeness unchecked.
        edition: the edition whose headers are right; None: as in `check`.
        rows_source: the template or list `asked` was read from, for the sidecar.

    Returns:
        The report on the zip.

    Raises:
        ProblemsFound: a check fails, or a file was edited since its stage wrote it; nothing is written.
        UserError: a file is missing or two have the same name.
    """
    out, members = Path(out), _members(files)
    if out.suffix.lower() != ".zip":
        raise UserError(f"{out} does not end in .zip.")
    for file in files:
        refuse_edited(file)
    sources = [path for _, path in members] + ([rows_source] if rows_source else [])
    settings = {"kind": kind, "edition": edition, "names": [name for name, _ in members]}
    stage = Stage("pack", out, settings=settings, inputs=sources)
    if stage.done():
        return check(out, kind, asked, edition)
    with stage, atomic_path(out) as temporary:
        _write(temporary, members)
        _compare(temporary, members)
        report = check(temporary, kind, asked, edition)
        report.target = str(out)
        if not report.ok:
            problems = "; ".join(f"{f.kind} ({f.count:,}), first {f.places[0]}" for f in report.problems[:3])
            more = f" and {len(report.problems) - 3} kinds more" if len(report.problems) > 3 else ""
            raise ProblemsFound(
                f"Not packed, {out.name} would not be valid: {problems}{more}."
                "\nabaw-submit check shows all of them."
            )
        digest = hashlib.sha256(temporary.read_bytes()).hexdigest()
        write_json(sidecar_path(out), _sidecar(out, digest, members, report, rows_source, edition))
        stage.output(sidecar_path(out))
        stage.output(out)
        stage.count("rows", report.rows)
    return report


def _members(files: Sequence[Path | str]) -> list[tuple[str, Path]]:
    found: dict[str, Path] = {}
    for given in map(Path, files):
        if given.is_dir():
            inside = [p for p in sorted(given.iterdir()) if not p.name.endswith(RECORD_NAME)]
            odd = [p.name for p in inside if p.suffix != ".txt" or not p.is_file()]
            if odd or not inside:
                what = f"holds {odd[0]}" if odd else "is empty"
                raise UserError(f"{given} {what}; expected <track>.txt files only.")
        else:
            inside = [given]
        for path in inside:
            if not path.is_file():
                raise UserError(f"No file {path}.")
            if path.stat().st_size > LARGEST_BYTES:
                raise UserError(f"{path} has more than {LARGEST_BYTES:,} bytes; no submission file does.")
            if path.name in found:
                raise UserError(
                    f"Two files named {path.name}: {found[path.name]} and {path}. In a zip names are unique."
                )
            found[path.name] = path
    return [(name, found[name]) for name in sorted(found)]


def _write(out: Path, members: list[tuple[str, Path]]) -> None:
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
        for name, path in members:
            entry = zipfile.ZipInfo(name, _DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # the same on every system
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, path.read_bytes(), compresslevel=_LEVEL)


def _compare(written: Path, members: list[tuple[str, Path]]) -> None:
    """Read the zip back and compare it with the files."""
    with zipfile.ZipFile(written) as archive:
        for name, path in members:
            if hashlib.sha256(archive.read(name)).hexdigest() != sha256_file(path):
                raise ProblemsFound(
                    f"{name} reads back from the zip with other bytes: {path} changed, or the disk fails."
                )


def _sidecar(
    out: Path,
    digest: str,
    members: list[tuple[str, Path]],
    report: Report,
    rows_source: Path | None,
    edition: int | None,
) -> dict[str, Any]:
    found = report.as_dict()
    return {
        "zip": out.name,
        "sha256": digest,
        "task": report.kind,
        "edition": edition,
        "dialect": report.dialect,
        "rows": report.rows,
        "checked_against": None if rows_source is None else provenance(rows_source),
        "warnings": found["warnings"],
        "files": [
            {
                "name": name,
                "bytes": path.stat().st_size,
                "sha256": sha256_file(path),
                "from": provenance(path),
            }
            for name, path in members
        ],
    }


def read_sidecar(out: Path | str) -> dict[str, Any]:
    """The description of a zip.

    Raises:
        UserError: there is none, or the zip is not the one described.
    """
    path = sidecar_path(out)
    if not path.is_file():
        raise UserError(f"{out} has no {path.name} beside it. Pack it with abaw-submit pack.")
    described: Any = read_json(path)
    if not isinstance(described, dict):
        raise UserError(f"{path} does not describe a zip. Pack it again.")
    if described.get("sha256") != sha256_file(out):
        raise UserError(f"{out} is not the zip that {path.name} describes. Pack it again.")
    return described
