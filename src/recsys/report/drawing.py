"""From a chart's description (Vega-Lite) to inline SVG that takes its colours from the page."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import Any

SVG = "http://www.w3.org/2000/svg"
Spec = dict[str, Any]

INK, FAINT, LINE = "var(--ink)", "var(--faint)", "var(--line)"
"""Colours of the page: SVG passes them on to the style sheet, which knows light from dark."""

_AXIS = {
    "labelColor": FAINT,
    "labelFontSize": 12,
    "titleColor": FAINT,
    "titleFontSize": 12,
    "titleFontWeight": "normal",
    "titlePadding": 8,
    "gridColor": LINE,
    "domain": False,
    "ticks": False,
    "labelPadding": 6,
}
THEME: Spec = {
    "background": None,
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": _AXIS,
    "axisX": {"grid": False, "domain": True, "domainColor": LINE, "labelFlush": False},
    "padding": {"left": 14, "right": 10, "top": 4, "bottom": 4},
}
_CIRCLE = re.compile(r"M(-?[\d.]+),0A-?[\d.]+,-?[\d.]+,0,1,1,-[\d.]+,0A-?[\d.]+,-?[\d.]+,0,1,1,[\d.]+,0Z?$")
_PLACE = re.compile(r"translate\((-?[\d.e-]+),(-?[\d.e-]+)\)")
_LONG = re.compile(r"-?\d+\.\d{2,}")


def draw(spec: Spec, title: str) -> str:
    """Return a chart as one ``<svg>`` element.

    Parameters
    ----------
    spec
        Vega-Lite with its data in it. What a mark's ``description`` says shows on hover.
    title
        What the chart shows, for who cannot see it.

    Returns
    -------
    str
        SVG that is safe inside a page: what it shows of the data is escaped. It scales with its
        column, and needs neither script nor network.
    """
    import vl_convert

    # No address is allowed: whatever a chart may name, nothing is fetched.
    text = vl_convert.vegalite_to_svg({"config": THEME, **spec}, allowed_base_urls=[])
    root = ET.fromstring(text)  # noqa: S314 - made by the line above
    _tidy(root)
    for name in ("class", "version"):
        root.attrib.pop(name, None)
    root.set("role", "img")
    root.set("aria-label", title)
    ET.register_namespace("", SVG)
    return ET.tostring(root, encoding="unicode")


def _tidy(parent: ET.Element) -> None:
    """Turn descriptions into hover texts, circles into circles, and drop what draws nothing."""
    for child in list(parent):
        if child.attrib.get("class") in {"background", "foreground"}:
            parent.remove(child)
            continue
        _tidy(child)
        told = child.attrib.pop("aria-label", None)
        data = child.attrib.pop("role", "") == "graphics-symbol" and child.tag != f"{{{SVG}}}g"
        for name in ("class", "aria-hidden", "aria-roledescription", "pointer-events", "opacity"):
            if name != "opacity" or child.attrib.get(name) == "1":
                child.attrib.pop(name, None)
        _round(child)
        if child.tag == f"{{{SVG}}}path":
            _as_circle(child)
        if told and data:
            ET.SubElement(child, f"{{{SVG}}}title").text = told
        if child.tag == f"{{{SVG}}}g" and not len(child):
            parent.remove(child)


def _round(mark: ET.Element) -> None:
    for name, value in mark.attrib.items():
        mark.attrib[name] = _LONG.sub(lambda number: f"{float(number[0]):.1f}".removesuffix(".0"), value)


def _as_circle(mark: ET.Element) -> None:
    drawn, placed = _CIRCLE.match(mark.get("d", "")), _PLACE.match(mark.get("transform", ""))
    if not drawn or not placed:
        return
    mark.tag = f"{{{SVG}}}circle"
    del mark.attrib["d"], mark.attrib["transform"]
    mark.attrib.pop("stroke-width", None) if "stroke" not in mark.attrib else None
    mark.attrib.update({"cx": placed[1], "cy": placed[2], "r": drawn[1]})
