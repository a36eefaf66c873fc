"""The rooms of the package and the arrows between them, read off its imports.

`python tests/house/rooms.py [FOLDER]` draws them as a Markdown table: a row a room, from the top; a number
says how many imports of the column's room it has. Left of the diagonal stand the arrows that run back up.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "abaw_submit"
# from the top; the ground, modules beside the rooms, comes last
ORDER = [
    "cli",
    "workflow",
    "report",
    "planning",
    "submission",
    "training",
    "postprocess",
    "features",
    "faces",
    "models",
    "audio",
    "demo",
    "scores",
    "corpus",
    "",
]
GROUND = ("store",)  # a folder of the ground: its modules count as modules beside the rooms


def files_of(package: Path = PACKAGE) -> list[Path]:
    """Every module of the package."""
    return sorted(p for p in package.rglob("*.py") if p.name != "__main__.py")


def room_of(path: Path, package: Path = PACKAGE) -> str:
    """The room of a module; "" is the ground."""
    parts = path.relative_to(package).parts
    return parts[0] if len(parts) > 1 and parts[0] not in GROUND else ""


def imports_of(path: Path) -> list[str]:
    """Modules that a file imports, anywhere in it."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            # `from abaw_submit import metrics` imports a module too
            whole = [f"{node.module}.{name.name}" for name in node.names]
            found += whole if node.module == "abaw_submit" else [node.module]
    return found


def rooms_used(path: Path, package: Path = PACKAGE) -> list[str]:
    """The room of each import of the package's own, once an import."""
    parts = [name.split(".") for name in imports_of(path) if name.startswith("abaw_submit.")]
    return [p[1] if (package / p[1]).is_dir() and p[1] not in GROUND else "" for p in parts]


def circles(package: Path = PACKAGE) -> list[list[str]]:
    """Modules that import each other, also by way of others and inside functions, each circle once."""
    names = {_module(p, package): p for p in files_of(package)}
    uses = {n: {m for m in imports_of(p) if m in names} - {n} for n, p in names.items()}
    reached = {n: _reach(n, uses) for n in uses}
    found = {tuple(sorted(m for m in reached[n] if n in reached[m])) for n in uses if n in reached[n]}
    return [list(circle) for circle in sorted(found)]


def draw(package: Path = PACKAGE) -> str:
    """The table."""
    files = files_of(package)
    lines, arrows = Counter[str](), Counter[tuple[str, str]]()
    for path in files:
        room = room_of(path, package)
        lines[room] += len(path.read_text(encoding="utf-8").splitlines())
        arrows.update((room, used) for used in rooms_used(path, package))
    rooms = [room for room in ORDER if lines[room]]
    names = [room or "ground" for room in rooms]
    rows = [f"| | files | lines | {' | '.join(names)} |", "|---|" + "--:|" * (2 + len(rooms))]
    for k, room in enumerate(rooms):
        cells = []
        for j, other in enumerate(rooms):
            count = arrows[room, other]
            cells.append("▪" if j == k else "" if not count else f"**{count}**" if j < k else str(count))
        count = sum(room_of(p, package) == room for p in files)
        rows.append(f"| {names[k]} | {count} | {lines[room]:,} | {' | '.join(cells)} |")
    return "\n".join([*rows, "", f"{len(files)} files, {sum(lines.values()):,} lines."])


def _module(path: Path, package: Path) -> str:
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


def _reach(start: str, uses: dict[str, set[str]]) -> set[str]:
    found, open_ = set[str](), list(uses[start])
    while open_:
        name = open_.pop()
        if name not in found:
            found.add(name)
            open_ += uses[name]
    return found


if __name__ == "__main__":
    where = Path(sys.argv[1]) / "abaw_submit" if sys.argv[1:] else PACKAGE
    print(draw(where))
    for circle in circles(where):
        print("Circle:", ", ".join(circle))
