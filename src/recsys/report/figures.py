"""The charts of the page: each is a description in Vega-Lite, a grammar of graphics, with its data in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recsys.report.drawing import FAINT, INK, Spec, draw

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WIDTH = 370
"""Of a chart, in pixels: as wide as a phone shows without making its labels too small to read."""

ACCENT = "var(--accent)"
_COLOURS = {
    "cf": ACCENT,
    "popularity": "var(--grey)",
    "content": "var(--amber)",
    "current recipe": "var(--violet)",
}
_UNSTACKED: Spec = {"stack": None}
"""Bars that cannot be stacked round their own corners, without clip paths, whose names differ in every run."""
_FURTHER = ("var(--rose)", "var(--green)", "var(--brown)")


def colours(names: Sequence[str]) -> dict[str, str]:
    """Return the colour of each contender: the same on every chart."""
    free = iter(_FURTHER * (1 + len(names)))
    return {name: _COLOURS.get(name) or next(free) for name in names}


def _colour(names: Sequence[str]) -> Spec:
    chosen = colours(names)
    scale = {"domain": list(names), "range": [chosen[name] for name in names]}
    return {"field": "name", "type": "nominal", "scale": scale, "legend": None}


def intervals(rows: Sequence[Mapping[str, Any]], metric: str) -> str:
    """Draw one score of every contender with its interval.

    Parameters
    ----------
    rows
        With ``name``, ``value``, ``low``, ``high``; best first.
    metric
        What was scored.
    """
    names = [row["name"] for row in rows]
    values = [
        {**row, "told": f"{row['name']}: {row['value']:.4f}, 95% interval {row['low']:.4f} to {row['high']:.4f}"}
        for row in rows
    ]
    y = {"field": "name", "type": "nominal", "sort": names, "title": None, "axis": {"labelColor": INK, "grid": False}}
    x = {
        "type": "quantitative",
        "scale": {"zero": True},
        "axis": {"grid": True, "tickCount": 4, "domain": False, "labelFlush": False},
    }
    told = {"description": {"field": "told"}, "color": _colour(names)}
    layers = [
        _layer(
            {"type": "rule", "strokeWidth": 8, "opacity": 0.35, "strokeCap": "round"},
            told,
            y=y,
            x={"field": "low", "title": metric, **x},
            x2={"field": "high"},
        ),
        _layer({"type": "point", "filled": True, "size": 90, "opacity": 1}, told, y=y, x={"field": "value", **x}),
        _layer(
            {"type": "text", "dy": -13, "fontSize": 12, "fontWeight": 600},
            {"color": {"value": INK}},
            y=y,
            x={"field": "value", **x},
            text={"field": "value", "format": ".3f"},
        ),
    ]
    spec = {"data": {"values": values}, "width": WIDTH - 110, "height": 46 * len(rows), "layer": layers}
    return draw(spec, f"{metric} of every contender with its interval")


def learning_curve(scores: Sequence[float], metric: str) -> str:
    """Draw the score after each iteration of training."""
    values = [
        {"iteration": number, "score": score, "told": f"after iteration {number}: {score:.4f}"}
        for number, score in enumerate(scores, 1)
    ]
    x = {
        "field": "iteration",
        "type": "quantitative",
        "title": "iteration",
        "axis": {"tickMinStep": 1, "tickCount": 8},
        "scale": {"nice": False},
    }
    y = {
        "field": "score",
        "type": "quantitative",
        "title": metric,
        "scale": {"zero": False, "padding": 8},
        "axis": {"tickCount": 4},
    }
    layers = [
        _layer({"type": "line", "color": ACCENT, "strokeWidth": 2.5}, {}, x=x, y=y),
        _layer(
            {"type": "point", "filled": True, "size": 36, "color": ACCENT, "opacity": 1},
            {"description": {"field": "told"}},
            x=x,
            y=y,
        ),
    ]
    return draw(_plot(values, layers, 190), "score after each iteration of training")


def histogram(rows: Sequence[Mapping[str, Any]], *, compared: bool) -> str:
    """Draw the shares of ratings in each bin: ``bin``, ``share``, ``before`` (where compared), ``told``."""
    order = [row["bin"] for row in rows]
    x = {"field": "bin", "type": "nominal", "sort": order, "title": "rating", "axis": {"labelAngle": 0}}
    y = {"type": "quantitative", "title": None, "axis": {"format": "%", "tickCount": 4}}
    told = {"description": {"field": "told"}}
    layers = [
        _layer(
            {"type": "bar", "color": ACCENT, "cornerRadiusEnd": 3, "width": {"band": 0.78}},
            told,
            x=x,
            y={"field": "share", **_UNSTACKED, **y},
        ),
    ]
    if compared:
        layers.append(
            _layer(
                {"type": "tick", "color": INK, "thickness": 2.5, "width": {"band": 0.9}},
                told,
                x=x,
                y={"field": "before", **y},
            )
        )
    return draw(_plot(rows, layers, 190), "share of the ratings by their value")


def long_tail(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    """Draw cumulated shares along the games, most rated first: ``games``, ``share``, ``name``."""
    x = {
        "field": "games",
        "type": "quantitative",
        "title": "games, most rated first",
        "axis": {"format": "%", "tickCount": 5},
        "scale": {"nice": False},
    }
    y = {"field": "share", "type": "quantitative", "title": None, "axis": {"format": "%", "tickCount": 4}}
    colour = _colour(["ratings", *names])
    colour["scale"]["range"][0] = INK
    dash = {"condition": {"test": "datum.name == 'ratings'", "value": [5, 4]}, "value": [1, 0]}
    layers = [_layer({"type": "line", "strokeWidth": 2.25}, {"color": colour, "strokeDash": dash}, x=x, y=y)]
    return draw(_plot(rows, layers, 210), "cumulated share of ratings and recommendations along the games")


def coverage(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    """Draw where along the games each contender recommends at all: ``games``, ``until``, ``name``, ``shown``."""
    x = {
        "field": "games",
        "type": "quantitative",
        "title": "games, most rated first",
        "axis": {"format": "%", "tickCount": 5},
        "scale": {"nice": False, "domain": [0, 1]},
    }
    y = {
        "field": "name",
        "type": "nominal",
        "sort": list(names),
        "title": None,
        "axis": {"labelColor": INK, "grid": False},
        "scale": {"paddingInner": 0.25},
    }
    opacity = {
        "field": "shown",
        "type": "quantitative",
        "legend": None,
        "scale": {"domain": [0, 1], "range": [0.05, 1]},
    }
    told = {"description": {"field": "told"}, "color": _colour(names), "opacity": opacity}
    layers = [_layer({"type": "rect"}, told, x=x, x2={"field": "until"}, y=y)]
    return draw({**_plot(rows, layers, 34 * len(names)), "width": WIDTH - 110}, "share of the games that are shown")


def profiles(points: Sequence[Mapping[str, Any]], metric: str, palette: Mapping[str, str]) -> str:
    """Draw scores by the length of a profile: ``name``, ``liked``, ``value``, ``low``, ``high``."""
    values = [
        {
            **point,
            "told": f"{point['name']}, {point['liked']} liked: {point['value']:.4f},"
            f" 95% interval {point['low']:.4f} to {point['high']:.4f}",
        }
        for point in points
    ]
    x = {"field": "liked", "type": "ordinal", "title": "liked games in the profile", "axis": {"labelAngle": 0}}
    y = {"type": "quantitative", "title": metric, "scale": {"zero": False, "padding": 8}, "axis": {"tickCount": 4}}
    scale = {"domain": list(palette), "range": list(palette.values())}
    colour = {"color": {"field": "name", "type": "nominal", "scale": scale, "legend": None}}
    told = {"description": {"field": "told"}, **colour}
    layers = [
        _layer(
            {"type": "rule", "strokeWidth": 8, "opacity": 0.3, "strokeCap": "round"},
            told,
            x=x,
            y={"field": "low", **y},
            y2={"field": "high"},
        ),
        _layer({"type": "line", "strokeWidth": 2.5}, colour, x=x, y={"field": "value", **y}),
        _layer({"type": "point", "filled": True, "size": 60, "opacity": 1}, told, x=x, y={"field": "value", **y}),
    ]
    return draw(_plot(values, layers, 210), f"{metric} by the number of liked games in the profile")


def steps(rows: Sequence[Mapping[str, Any]], field: str, unit: str, colour: str) -> str:
    """Draw what each step took: ``step``, ``label`` and a number."""
    order = [row["step"] for row in rows]
    y = {
        "field": "step",
        "type": "nominal",
        "sort": order,
        "title": None,
        "axis": {"labelColor": INK, "grid": False, "labelLimit": 160},
    }
    x = {
        "field": field,
        **_UNSTACKED,
        "type": "quantitative",
        "title": None,
        "axis": None,
        "scale": {"domain": [0, 1.22 * max(row[field] for row in rows) or 1], "nice": False},
    }
    text = {"field": f"{field}_told"}
    layers = [
        _layer({"type": "bar", "color": colour, "height": {"band": 0.62}, "cornerRadiusEnd": 3}, {}, x=x, y=y),
        _layer({"type": "text", "align": "left", "dx": 5, "fontSize": 12, "color": FAINT}, {}, x=x, y=y, text=text),
    ]
    spec = {"data": {"values": list(rows)}, "width": WIDTH - 130, "height": 25 * len(rows), "layer": layers}
    return draw(spec, f"{unit} by step")


def search(rows: Sequence[Mapping[str, Any]], metric: str) -> str:
    """Draw a search of settings: ``trial``, ``score``, ``best`` so far, ``told``."""
    x = {
        "field": "trial",
        "type": "quantitative",
        "title": "trial",
        "axis": {"tickMinStep": 1},
        "scale": {"nice": False, "padding": 6},
    }
    y = {"type": "quantitative", "title": metric, "scale": {"zero": False}, "axis": {"tickCount": 4}}
    layers = [
        _layer(
            {"type": "line", "interpolate": "step-after", "color": ACCENT, "strokeWidth": 2.25},
            {"detail": {"field": "stage"}},
            x=x,
            y={"field": "best", **y},
        ),
        _layer(
            {"type": "point", "filled": True, "size": 44, "color": FAINT, "opacity": 0.75},
            {"description": {"field": "told"}},
            x=x,
            y={"field": "score", **y},
        ),
    ]
    return draw(_plot(rows, layers, 210), "score of each trial and the best so far")


def game_map(
    points: Sequence[Mapping[str, Any]], labels: Sequence[Mapping[str, Any]], palette: Mapping[str, str]
) -> str:
    """Draw the map: points with ``x``, ``y``, ``group``, ``size``, ``told``; labels with ``x``, ``y``, ``name``.

    Coordinates are pixels of a map of :data:`MAP_SIZE`, y downwards.
    """
    width, height = MAP_SIZE
    x = {"field": "x", "type": "quantitative", "axis": None, "scale": {"domain": [0, width], "nice": False}}
    y = {"field": "y", "type": "quantitative", "axis": None, "scale": {"domain": [height, 0], "nice": False}}
    scale = {"domain": list(palette), "range": list(palette.values())}
    encoding = {
        "color": {"field": "group", "type": "nominal", "scale": scale, "legend": None},
        "size": {"field": "size", "type": "quantitative", "scale": None, "legend": None},
        "description": {"field": "told"},
    }
    text = {"type": "text", "fontSize": 11.5, "fontWeight": 600, "color": INK}
    halo = {**text, "stroke": "var(--card)", "strokeWidth": 3.5, "strokeJoin": "round", "color": "var(--card)"}
    named = {"x": x, "y": y, "text": {"field": "name"}}
    spec = {
        "width": width,
        "height": height,
        "layer": [
            {
                "data": {"values": list(points)},
                "mark": {"type": "circle", "opacity": 0.72},
                "encoding": {**encoding, "x": x, "y": y},
            },
            {"data": {"values": list(labels)}, "mark": halo, "encoding": named},
            {"data": {"values": list(labels)}, "mark": text, "encoding": named},
        ],
    }
    return draw(spec, "map of the best-known games: games that the same people like lie side by side")


MAP_SIZE = (1080, 720)
"""Width and height of the map in pixels."""


def _layer(mark: Spec, encoding: Spec, **channels: Any) -> Spec:
    return {"mark": mark, "encoding": {**encoding, **channels}}


def _plot(values: Sequence[Mapping[str, Any]], layers: list[Spec], height: int) -> Spec:
    return {"data": {"values": list(values)}, "width": WIDTH - 60, "height": height, "layer": layers}
