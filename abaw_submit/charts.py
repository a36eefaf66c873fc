"""The kinds of chart there are, as Vega-Lite specifications: for the report's page, and drawn to SVG files.

Colours are CSS variables of the page, so that a chart follows the light, the dark and the printed page
without being drawn again; `draw` puts those of the light page in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Spec = dict[str, Any]
Rows = Sequence[dict[str, Any]]

COLOURS = [f"var(--c{k})" for k in range(1, 13)]  # as many as there are action units
FAINT, INK, PAPER = "var(--faint)", "var(--ink)", "var(--card)"
THEME: Spec = {
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "padding": 4,
    "view": {"stroke": None},
    "range": {"category": COLOURS},
    "axis": {
        "labelColor": FAINT,
        "titleColor": FAINT,
        "titleFontWeight": "normal",
        "gridColor": "var(--line)",
        "domainColor": "var(--line)",
        "tickColor": "var(--line)",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "labelLimit": 170,
        "labelOverlap": "parity",
        "labelSeparation": 8,
    },
    "legend": {
        "orient": "top",
        "labelColor": INK,
        "titleColor": FAINT,
        "labelFontSize": 12,
        "title": None,
        "columns": 4,
        "labelLimit": 240,
        "symbolStrokeWidth": 3,
    },
    "header": {"labelColor": INK, "titleColor": FAINT},
    "mark": {"color": COLOURS[0]},
    "rule": {"color": FAINT},
    "text": {"color": INK, "fontSize": 12},
}
# the wheel scrolls the page; with Shift it zooms
ZOOM: Spec = {
    "name": "zoom",
    "select": {"type": "interval", "encodings": ["x"], "zoom": "wheel![event.shiftKey]"},
    "bind": "scales",
}
PICK: Spec = {"name": "pick", "select": {"type": "point", "fields": ["series"]}, "bind": "legend"}
LEGEND: Spec = {"symbolOpacity": 1, "symbolType": "circle", "symbolStrokeWidth": 0}
SERIES: Spec = {"field": "series", "type": "nominal", "sort": None, "legend": LEGEND}
# a point without an interval may lie on one that has one, and leaves its rim to be seen
_SIZE: Spec = {"condition": {"test": "datum.low === datum.high", "value": 36}, "value": 90}
_PICKED: Spec = {"condition": {"param": "pick", "value": 1}, "value": 0.08}


def intervals(rows: Rows, title: str) -> Spec:
    """Points with 95 % intervals: rows of name, value, low, high, kind."""
    y = {"field": "name", "type": "nominal", "sort": None, "title": None}
    tips = [_tip("name", "what"), *(_tip(f, f, ".4f") for f in ("value", "low", "high"))]
    several = len({row["kind"] for row in rows}) > 1
    colour: Spec = {"field": "kind", "type": "nominal", "sort": None, "legend": LEGEND if several else None}
    return {
        "data": {"values": list(rows)},
        "height": 28 * len({row["name"] for row in rows}),
        "encoding": {"y": y, "tooltip": tips},
        "layer": [
            {
                "mark": {"type": "rule", "strokeWidth": 3, "opacity": 0.55},
                "encoding": {"x": _x("low", title, False), "x2": {"field": "high"}, "color": colour},
            },
            {
                "mark": {"type": "point", "filled": True, "opacity": 1},
                "encoding": {"x": _x("value", title, False), "color": colour, "size": _SIZE},
            },
        ],
    }


def dots(rows: Rows, title: str) -> Spec:
    """Values per output and series: rows of output, series, value."""
    return {
        "data": {"values": list(rows)},
        "height": 24 * len({row["output"] for row in rows}),
        "params": [PICK],
        "mark": {"type": "point", "filled": True, "size": 80},
        "encoding": {
            "y": {"field": "output", "type": "nominal", "sort": None, "title": None, "axis": {"grid": True}},
            "x": _x("value", title, False),
            "color": SERIES,
            "opacity": _PICKED,
            "tooltip": [_tip("output"), _tip("series"), _tip("value", "value", ".4f")],
        },
    }


def lines(
    rows: Rows,
    x_title: str,
    y_title: str,
    *,
    log: bool = False,
    points: bool = True,
    diagonal: tuple[float, float] | None = None,
    level: float | None = None,
) -> Spec:
    """Lines over x: rows of x, y, series, and low and high where there is a band.

    Args:
        rows: the points.
        x_title: what x is.
        y_title: what y is.
        log: whether x is logarithmic.
        points: whether each point is marked.
        diagonal: draws y = x between two values.
        level: draws a horizontal line.
    """
    x: Spec = {"field": "x", "type": "quantitative", "title": x_title, "scale": {"zero": False}}
    if log:
        x["scale"] = {"type": "log", "nice": False}
    y: Spec = {"field": "y", "type": "quantitative", "title": y_title, "scale": {"zero": False}}
    several = len({row["series"] for row in rows}) > 1
    legend = LEGEND if points else {"symbolType": "stroke"}
    colour = {**SERIES, "legend": legend if several else None}
    layers: list[Spec] = []
    if diagonal is not None:
        ends = [{"x": v, "y": v} for v in diagonal]
        dashes = {"type": "line", "strokeDash": [4, 4], "color": FAINT, "strokeWidth": 1}
        layers.append({"data": {"values": ends}, "mark": dashes, "encoding": {"x": x, "y": y}})
    if level is not None:
        layers.append({"mark": {"type": "rule", "strokeDash": [4, 4]}, "encoding": {"y": {"datum": level}}})
    if any("low" in row for row in rows):
        band = {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, "color": colour}
        opacity = {"condition": {"param": "pick", "value": 0.13}, "value": 0}
        layers.append({"mark": "area", "encoding": {**band, "opacity": opacity}})
    tips = [_tip("series"), _tip("x", x_title, ".4~g"), _tip("y", y_title, ".4f")]
    mark = {"type": "line", "strokeWidth": 2, "point": {"size": 30} if points else False}
    encoding = {"x": x, "y": y, "color": colour, "opacity": _PICKED, "tooltip": tips}
    layers.append({"params": [PICK, ZOOM], "mark": mark, "encoding": encoding})
    return {"data": {"values": list(rows)}, "height": 260, "layer": layers}


def heat(rows: Rows, x_title: str, y_title: str) -> Spec:
    """A matrix: rows of x, y, share in [0, 1], and the text and count behind it. Stronger is more."""
    angle = -40 if max(len(str(row["x"])) for row in rows) > 4 else 0
    base: Spec = {
        "x": {"field": "x", "type": "nominal", "sort": None, "title": x_title, "axis": {"labelAngle": angle}},
        "y": {"field": "y", "type": "nominal", "sort": None, "title": y_title},
        "tooltip": [
            _tip("y", y_title),
            _tip("x", x_title),
            _tip("text", "share"),
            _tip("count", "rows", ","),
        ],
    }
    fill = {
        "mark": {"type": "rect", "color": COLOURS[0], "stroke": PAPER, "strokeWidth": 1},
        "encoding": {
            "opacity": {
                "field": "share",
                "type": "quantitative",
                "scale": {"domain": [0, 1], "range": [0.03, 1]},
                "legend": None,
            }
        },
    }
    ink = {"condition": {"test": "datum.share > 0.6", "value": PAPER}, "value": INK}
    label = {
        "mark": {"type": "text", "fontSize": 11},
        "encoding": {"text": {"field": "text"}, "color": ink},
    }
    return {
        "data": {"values": list(rows)},
        "height": 28 * len({row["y"] for row in rows}),
        "encoding": base,
        "layer": [fill, label],
    }


def binned(rows: Rows, x_title: str, y_title: str) -> Spec:
    """A density of two values in [-1, 1]: rows of x0, x1, y0, y1, share, count."""
    scale = {"domain": [-1, 1]}
    return {
        "height": 280,
        "layer": [
            {
                "data": {"values": list(rows)},
                "mark": {"type": "rect", "color": COLOURS[0]},
                "encoding": {
                    "x": {"field": "x0", "type": "quantitative", "title": x_title, "scale": scale},
                    "x2": {"field": "x1"},
                    "y": {"field": "y0", "type": "quantitative", "title": y_title, "scale": scale},
                    "y2": {"field": "y1"},
                    "opacity": {
                        "field": "share",
                        "type": "quantitative",
                        "scale": {"domain": [0, 1], "range": [0.06, 1], "type": "sqrt"},
                        "legend": None,
                    },
                    "tooltip": [
                        _tip("x0", x_title, ".1f"),
                        _tip("y0", y_title, ".1f"),
                        _tip("count", "rows", ","),
                    ],
                },
            },
            {
                "data": {"values": [{"x": -1, "y": -1}, {"x": 1, "y": 1}]},
                "mark": {"type": "line", "strokeDash": [4, 4], "color": FAINT, "strokeWidth": 1},
                "encoding": {
                    "x": {"field": "x", "type": "quantitative"},
                    "y": {"field": "y", "type": "quantitative"},
                },
            },
        ],
    }


def scatter(rows: Rows, x_title: str, y_title: str) -> Spec:
    """Named points: rows of name, x, y, size, series."""
    return {
        "data": {"values": list(rows)},
        "height": 280,
        "params": [PICK],
        "mark": {"type": "circle", "opacity": 0.75},
        "encoding": {
            "x": _x("x", x_title, False),
            "y": {"field": "y", "type": "quantitative", "title": y_title, "scale": {"zero": False}},
            "size": {"field": "size", "type": "quantitative", "scale": {"range": [20, 200]}, "legend": None},
            "color": SERIES,
            "opacity": _PICKED,
            "tooltip": [
                _tip("name", "track"),
                _tip("x", x_title, ".3f"),
                _tip("y", y_title, ".3f"),
                _tip("size", "rows", ","),
            ],
        },
    }


def _x(field: str, title: str, zero: bool) -> Spec:
    return {"field": field, "type": "quantitative", "title": title, "scale": {"zero": zero}}


def _tip(field: str, title: str | None = None, form: str | None = None) -> Spec:
    kind = "nominal" if form is None else "quantitative"
    return {"field": field, "title": title or field, "type": kind, **({"format": form} if form else {})}
