"""Charts as SVG files, in the style of the report's page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from abaw_submit.charts import THEME, Spec
from abaw_submit.store import write_text

WIDTH_PX = 640
_UNPRINTABLE = "\ufffd"
_PLAIN_FONT = "sans-serif"  # the page's own falls back differently on every machine
# the light page, as in report/style.css
_LIGHT = {
    "ink": "#1c2430", "faint": "#5c6675", "card": "#ffffff", "line": "#dcd9d0",
    "c1": "#3b75af", "c2": "#d9722a", "c3": "#3f8f4f", "c4": "#b0489a",
    "c5": "#8a6d1d", "c6": "#23909b", "c7": "#c23b3b", "c8": "#6d5fb5",
    "c9": "#8c564b", "c10": "#7f8c1f", "c11": "#1f5f8b", "c12": "#e377a2",
}  # fmt: skip


def draw(path: Path, charts: Sequence[tuple[str, Spec]], caption: str) -> Path:
    """Draw charts below each other into an SVG file, whole or not at all.

    Args:
        path: the file.
        charts: (title, chart) each; an empty title for a single one.
        caption: a sentence or two, written above.

    Returns:
        The file. The same charts give the same bytes.

    Raises:
        ImportError: vl-convert, of the extras `train` and `report`, is not installed.
    """
    import vl_convert

    views = [
        {"width": WIDTH_PX, **still(chart), **({"title": {"text": title, "fontSize": 13}} if title else {})}
        for title, chart in charts
    ]
    title = {"text": _lines(caption), "anchor": "start", "fontSize": 13, "fontWeight": "normal", "offset": 12}
    config = {**THEME, "background": "white", "font": _PLAIN_FONT}
    config["axis"] = {**THEME["axis"], "labelLimit": 260}
    spec = {"vconcat": views, "title": title, "config": config}
    spec["resolve"] = {"scale": {"color": "independent"}}
    write_text(path, vl_convert.vegalite_to_svg(_coloured(spec)))
    return path


def still(spec: Any) -> Any:
    """A chart without what a cursor does in it: selections, and opacities that hang on them."""
    if isinstance(spec, list):
        return [still(part) for part in spec]
    if not isinstance(spec, dict):
        return spec
    condition = spec.get("condition")
    if isinstance(condition, dict) and "param" in condition:
        return {"value": condition["value"]}
    return {key: still(value) for key, value in spec.items() if key not in ("params", "tooltip")}


def _coloured(spec: Any) -> Any:
    if isinstance(spec, list):
        return [_coloured(part) for part in spec]
    if isinstance(spec, dict):
        return {key: _coloured(value) for key, value in spec.items()}
    if not isinstance(spec, str):
        return spec
    if spec.startswith("var(--"):
        return _LIGHT.get(spec[6:-1], spec)  # a name may look like a colour
    # what is no character of XML ends the whole process in vl-convert
    return "".join(c if c.isprintable() else _UNPRINTABLE for c in spec)


def _lines(caption: str, width: int = 100) -> list[str]:
    lines = [""]
    for word in caption.split():
        if len(lines[-1]) + len(word) >= width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines
