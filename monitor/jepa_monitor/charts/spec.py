"""What a chart shows, as frozen data: curves, thresholds, rule windows, marks. Drawing it is in `drawing`.

Knows nothing of runs, metrics or widgets.
"""

from __future__ import annotations

from typing import Literal

import attrs
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]

Tone = Literal["accent", "second", "third", "fourth", "good", "warning", "bad", "dim", "plain"]
"""Roles of colour; a theme says what each looks like, and judgements alone are good, warning or bad."""

CURVE_TONES: tuple[Tone, ...] = ("accent", "second", "third", "fourth")
"""Of the curves of one chart, in their order, and of several runs in the same charts."""

MarkKind = Literal["firing", "non-finite", "checkpoint", "rollback"]


@attrs.frozen(kw_only=True, eq=False)
class Curve:
    """One line of a chart. `xs` never decrease; `ys` may hold not-a-number (a gap) and infinities."""

    label: str
    xs: Floats
    ys: Floats
    tone: Tone = "accent"
    is_band: bool = False
    """The raw values behind a smoothed line: drawn dim, and first."""


@attrs.frozen(kw_only=True)
class Threshold:
    """A limit of a rule, drawn across the chart, or across the part where the rule is judged."""

    y: float
    label: str
    tone: Tone = "dim"
    dashed: bool = True
    start: float | None = None
    """First x at which it holds; from the left edge when not given."""
    end: float | None = None


@attrs.frozen(kw_only=True)
class Mark:
    """Something that happened at one x: a tick on the axis, and a thin line through the chart where it matters."""

    x: float
    kind: MarkKind
    tone: Tone = "dim"
    label: str = ""


@attrs.frozen(kw_only=True, eq=False)
class ChartSpec:
    """One chart. Equal content need not mean an equal object: a widget redraws when it is given another one."""

    title: str
    figure: str = ""
    """The newest value as text, at the right of the title; of several lines their values, two blanks apart."""
    figure_tones: tuple[Tone, ...] = ()
    """Those of the values' lines, where they tell what is whose."""
    curves: tuple[Curve, ...] = ()
    thresholds: tuple[Threshold, ...] = ()
    marks: tuple[Mark, ...] = ()
    log: bool = False
    """Logarithmic y axis; values that are not positive are left out and counted in `figure`'s place by the drawing."""
    smoothing: str = ""
    """How the lines are smoothed, in words, beside the title; empty where they are not."""
    x_range: tuple[float, float] | None = None
    """The part of x to show; all of it when not given."""
    y_range: tuple[float, float] | None = None
    """The part of y to show, linear; what curves and thresholds ask for when not given."""
    is_zoomed: bool = False
    """Somebody looks closely: a curve that hardly moves fills the chart all the same."""
    crosshair: float | None = None
    """x at which a vertical line stands, with the curves' values there at the top."""
    anchor: float | None = None
    """x of a second line, from which the values at the crosshair are told as differences."""
    is_overlay: bool = False
    """Its lines are several runs: one that lies far away does not flatten the others."""
    alert: Tone | None = None
    """Colours the frame, for a metric in trouble."""
    integer_x: bool = True
    """x counts something: ticks only at whole numbers."""
    percent: bool = False
    """y is a share: ticks and values as percent."""
    of: str = ""
    """The metric that is drawn, whose values are written as everywhere else."""
    note: str = ""
    """Shown in the middle while there is nothing to draw, such as "no value yet"."""
