"""Charts as data: everything in percent of the plot, so that a template can draw them at any width."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import final

from components.evaluate.report.axes import Axis, Tick, number, padded

Points = Sequence[tuple[float, float]]
_MAX_LABELLED_POINTS = 60  # more would only make the page heavy


@final
@dataclass(frozen=True)
class Mark:
    """A point or a bar that tells its value when it is pointed at."""

    x: float
    y: float
    label: str
    width: float = 0.0


@final
@dataclass(frozen=True, kw_only=True)
class Line:
    """One series. `path` is SVG path data; `best` an emphasised point."""

    name: str
    color: int
    path: str
    marks: Sequence[Mark]
    best: Mark | None = None
    note: str = ""


@final
@dataclass(frozen=True, kw_only=True)
class Chart:
    """A plot with its axes. y grows upwards here; the template turns it around.

    Attributes:
        rule: where a vertical line stands.
        square: both axes are shares, and the diagonal is drawn.
        dotted: the points are drawn.
    """

    title: str
    x_title: str
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    lines: Sequence[Line] = ()
    bars: Sequence[Mark] = ()
    rule: float | None = None
    square: bool = False
    dotted: bool = False
    note: str = ""


def line_chart(
    title: str,
    x_title: str,
    series: Mapping[str, Points],
    *,
    colors: Mapping[str, int] | None = None,
    best: Mapping[str, float] | None = None,
    rule: float | None = None,
    limits: tuple[float, float] | None = None,
    logarithmic: bool = False,
    note: str = "",
) -> Chart:
    """Lines over a common x axis of whole numbers.

    Args:
        series: name → points, ascending in x; at least one point in all.
        best: series name → the x of a point to emphasise.
        rule: the x of a vertical line.
        limits: of the y axis; by default what the points need.
        logarithmic: on both axes.
    """
    xs = [x for points in series.values() for x, _ in points]
    ys = [y for points in series.values() for _, y in points]
    x_axis = Axis(*padded(min(xs), max(xs), 0.0), logarithmic)
    y_axis = Axis(*(limits or padded(min(ys), max(ys), 0.0 if logarithmic else 0.06)), logarithmic)
    lines = [
        _line(
            name,
            points,
            x_axis,
            y_axis,
            x_title=x_title,
            color=(colors or {}).get(name, position),
            best=(best or {}).get(name),
        )
        for position, (name, points) in enumerate(series.items())
        if points
    ]
    return Chart(
        title=title,
        x_title=x_title,
        x_ticks=x_axis.ticks(whole=True),
        y_ticks=y_axis.ticks(4),
        lines=lines,
        rule=None if rule is None else x_axis.at(rule),
        note=note,
    )


def square_chart(
    title: str,
    x_title: str,
    series: Mapping[str, Points],
    *,
    colors: Mapping[str, int],
    reach: float = 1.0,
    dotted: bool = False,
    note: str = "",
) -> Chart:
    """Lines over a square from 0 to `reach`, with its diagonal."""
    axis = Axis(0.0, reach)
    return Chart(
        title=title,
        x_title=x_title,
        x_ticks=axis.ticks(),
        y_ticks=axis.ticks(),
        lines=[
            _line(name, points, axis, axis, x_title=x_title, color=colors[name], best=None, noted=False)
            for name, points in series.items()
        ],
        square=True,
        dotted=dotted,
        note=note,
    )


def bar_chart(title: str, x_title: str, unit: str, counts: Mapping[str, int], *, note: str = "") -> Chart:
    """A bar per name, in the given order; at least one count is positive."""
    y_axis = Axis(0.0, max(counts.values()) * 1.08)
    width = 100 / len(counts)
    stride = -(-len(counts) // 8)  # labels must not run into each other on a small screen
    return Chart(
        title=title,
        x_title=x_title,
        x_ticks=[
            Tick(round((position + 0.5) * width, 2), name)
            for position, name in enumerate(counts)
            if position % stride == 0
        ],
        y_ticks=y_axis.ticks(4, whole=True),
        bars=[
            Mark(
                round(position * width, 2),
                y_axis.at(count),
                f"{name}: {count:,} {unit}",
                width=round(width, 2),
            )
            for position, (name, count) in enumerate(counts.items())
        ],
        note=note,
    )


def histogram(
    title: str,
    x_title: str,
    shares: Mapping[str, Sequence[float]],
    edges: Sequence[float],
    *,
    colors: Mapping[str, int] | None = None,
    note: str = "",
) -> Chart:
    """Shares per bin: the first series as bars, the others as stepped lines."""
    (first, bars), *others = shares.items()
    x_axis = Axis(edges[0], edges[-1])
    top = max(max(values) for values in shares.values()) or 1.0
    y_axis = Axis(0.0, top * 1.08)
    bins = list(pairwise(edges))
    return Chart(
        title=title,
        x_title=x_title,
        x_ticks=x_axis.ticks(),
        y_ticks=y_axis.ticks(4, percent=True),
        bars=[
            Mark(
                x_axis.at(low),
                y_axis.at(share),
                f"{first}, {number(low)} to {number(high)}: {share:.1%} of the users",
                width=round(x_axis.at(high) - x_axis.at(low), 2),
            )
            for (low, high), share in zip(bins, bars, strict=True)
        ],
        lines=[
            Line(name=first, color=0, path="", marks=()),  # for the legend
            *(
                Line(
                    name=name,
                    color=(colors or {}).get(name, position),
                    path=_steps(values, bins, x_axis, y_axis),
                    marks=(),
                )
                for position, (name, values) in enumerate(others, 1)
            ),
        ],
        note=note,
    )


def _line(
    name: str,
    points: Points,
    x_axis: Axis,
    y_axis: Axis,
    *,
    x_title: str,
    color: int,
    best: float | None,
    noted: bool = True,
) -> Line:
    def mark(x: float, y: float) -> Mark:
        return Mark(x_axis.at(x), y_axis.at(y), f"{name}, {x_title} {number(x)}: {y:.4g}")

    path = " ".join(
        f"{'L' if index else 'M'}{x_axis.at(x):g} {100 - y_axis.at(y):g}"
        for index, (x, y) in enumerate(points)
    )
    stride = -(-len(points) // _MAX_LABELLED_POINTS)
    at_best = next(((x, y) for x, y in points if x == best), None)
    return Line(
        name=name,
        color=color,
        path=path,
        marks=[mark(x, y) for x, y in points[::stride]],
        best=mark(*at_best) if at_best else None,
        note=f"{points[-1][1]:.3f}" if noted else "",
    )


def _steps(values: Sequence[float], bins: Sequence[tuple[float, float]], x_axis: Axis, y_axis: Axis) -> str:
    corners = [f"M{x_axis.at(bins[0][0]):g} 100"]
    for (low, high), value in zip(bins, values, strict=True):
        y = 100 - y_axis.at(value)
        corners.append(f"L{x_axis.at(low):g} {y:g} L{x_axis.at(high):g} {y:g}")
    return " ".join([*corners, f"L{x_axis.at(bins[-1][1]):g} 100"])
