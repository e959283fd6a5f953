"""A model's embeddings as a picture: a map coloured by a label, and rows of nearest neighbours. Needs matplotlib."""

from __future__ import annotations

from pathlib import Path
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any

from torch import Tensor

from jepa_core.engine.checkpoint_map import Colouring, NeighbourRows, RunMap
from jepa_core.engine.output_files import appearing_whole, check_output
from jepa_core.errors import JepaError
from jepa_core.visible_text import clean

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.figure import Figure, SubFigure

ENDINGS = (".png", ".pdf", ".svg")

_MAP_WIDTH, _MAP_HEIGHT, _TILE_WIDTH, _TILE_HEIGHT, _TITLE_HEIGHT = 7.2, 6.4, 0.95, 1.2, 1.0
"""In inches."""
_LEAST_ROWS = 6
"""Rows of tiles that are as high as the map."""
_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9",
            "#d55e00", "#f0e442", "#666666", "#332288", "#882255")  # fmt: skip
"""Told apart by colour-blind people, too: Okabe and Ito's eight (jfly.uni-koeln.de/color), with a grey for their black,
which a dark ground would hide, and two of Tol's (personal.sron.nl/~pault)."""
_MOST_OF_ONE_MARKER = 8
_MARKERS = "o^s"
"""Taken in turns by more classes than those: three and ten have no divisor in common, so that 30 classes differ."""
_SCALE = "viridis"
_SAME, _OTHER = "#0072b2", "0.75"
_MARK_FONTS = ["DejaVu Sans", "sans-serif"]
"""The first comes with matplotlib, and has the two marks."""


def check_picture(path: Path, *, replace: bool) -> None:
    """Refuse early what cannot be drawn at the end.

    Raises:
        DataError: nothing can be written there.
        JepaError: matplotlib is not installed.
    """
    check_output(path, ENDINGS, "pictures", replace=replace)
    try:
        import matplotlib.figure  # noqa: F401  # whether it is there
    except ImportError as error:
        raise JepaError('A picture needs matplotlib. Install it with: pip install "jepa-core[plot]"') from error


def draw_map(run_map: RunMap, path: Path) -> None:
    """Draw the map, and neighbours where there are any. The file is there whole or not at all.

    Raises:
        DataError: it cannot be written.
    """
    _save(figure_of(run_map), path)


def figure_of(run_map: RunMap) -> Figure:
    """The picture, which belongs to no window."""
    from matplotlib.figure import Figure

    neighbours = run_map.neighbours
    num_rows, num_columns = neighbours.rows.shape if neighbours else (0, 0)
    widths = [_MAP_WIDTH, _TILE_WIDTH * (num_columns + 0.5)]
    height = _TILE_HEIGHT * max(num_rows, _LEAST_ROWS) + _TITLE_HEIGHT
    size = (sum(widths), height) if neighbours else (_MAP_WIDTH, _MAP_HEIGHT)
    figure = Figure(figsize=size, layout="constrained")
    title = f"{clean(run_map.run, 60)} · step {run_map.step:,} · {run_map.array}\n{_data_text(run_map)}"
    figure.suptitle(title, x=0.01, horizontalalignment="left", fontsize="medium", parse_math=False)
    if neighbours:
        left, right = figure.subfigures(1, 2, width_ratios=widths, squeeze=False)[0]
        _draw_points(left, run_map)
        _draw_rows(right, neighbours, run_map.colouring)
    else:
        _draw_points(figure, run_map)
    return figure


def _data_text(run_map: RunMap) -> str:
    num = len(run_map.plane.points)
    shown = f"{num:,}" if num == run_map.num_sequences else f"{num:,} of {run_map.num_sequences:,}"
    return f"{clean(run_map.data, 70)} · {run_map.split}: {shown}"


def _draw_points(figure: Figure | SubFigure, run_map: RunMap) -> None:
    """The map with its legend or colour bar."""
    plane, colouring = run_map.plane, run_map.colouring
    axes = figure.subplots()
    # Distances are what a map is read for, so both directions have one scale.
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_box_aspect(1)
    axes.set_anchor("N")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3)
    shares = [f" ({100 * share:.0f} %)" for share in plane.explained] if plane.explained else ["", ""]
    axes.set_xlabel(plane.axes[0] + shares[0])
    axes.set_ylabel(plane.axes[1] + shares[1])
    if colouring is None or not colouring.has_colours:
        _scatter(axes, plane.points, color=_COLOURS[0])
    elif colouring.values.is_floating_point():
        points = _scatter(axes, plane.points, c=colouring.values.numpy(), cmap=_SCALE)
        bar = figure.colorbar(points, cax=axes.inset_axes((1.04, 0.1, 0.04, 0.8)))
        bar.set_label(clean(colouring.label, 40), parse_math=False)
    else:
        _draw_classes(axes, plane.points, colouring)
    if run_map.neighbours:
        _draw_letters(axes, plane.points[run_map.neighbours.rows[:, 0]])


def _scatter(axes: Axes, points: Tensor, chosen: Tensor | None = None, **look: Any) -> PathCollection:
    """All points (S, 2), or those chosen by (S,) bool: the more there are, the smaller."""
    size = min(max(12_000 / len(points), 5), 28)
    shown = points if chosen is None else points[chosen]
    return axes.scatter(shown[:, 0].numpy(), shown[:, 1].numpy(), s=size, alpha=0.8, linewidths=0, **look)


def _draw_classes(axes: Axes, points: Tensor, colouring: Colouring) -> None:
    """Points of all classes in their own order, so that no class hides another; and the legend."""
    from matplotlib.lines import Line2D

    values, classes = colouring.values.unique(return_inverse=True)
    markers = _MARKERS if len(values) > _MOST_OF_ONE_MARKER else _MARKERS[0]
    looks = [(_COLOURS[number % len(_COLOURS)], markers[number % len(markers)]) for number in range(len(values))]
    for number, marker in enumerate(markers):
        of_marker = classes % len(markers) == number
        colours = [looks[place][0] for place in classes[of_marker].tolist()]
        _scatter(axes, points, of_marker, color=colours, marker=marker)
    handles = [Line2D([], [], linestyle="", color=colour, marker=marker) for colour, marker in looks]
    # matplotlib leaves labels that begin with an underscore out of the legend.
    labels = [f" {clean(colouring.text(value), 24)}" for value in values.tolist()]
    legend = axes.legend(
        handles,
        labels,
        title=clean(colouring.label, 24),
        loc="upper left",
        bbox_to_anchor=(1, 1),
        frameon=False,
        handlelength=1,
        handletextpad=0.2,
    )
    for text in (legend.get_title(), *legend.get_texts()):
        text.set_parse_math(False)


def _draw_letters(axes: Axes, points: Tensor) -> None:
    """Where the rows' queries lie, in the colour of text with a rim of the ground."""
    import matplotlib as mpl
    from matplotlib.patheffects import withStroke

    ring = mpl.rcParams["text.color"]
    axes.scatter(points[:, 0].numpy(), points[:, 1].numpy(), s=45, facecolors="none", edgecolors=ring, linewidths=1.2)
    rim = withStroke(linewidth=2.5, foreground=axes.get_facecolor())
    for letter, place in zip(ascii_uppercase, points.tolist(), strict=False):
        axes.annotate(letter, place, xytext=(4, 4), textcoords="offset points", weight="bold", path_effects=[rim])


def _draw_rows(figure: SubFigure, neighbours: NeighbourRows, colouring: Colouring | None) -> None:
    """A row for each query: its picture, a gap, and its neighbours with their values and marks."""
    num_rows, num_columns = max(len(neighbours.rows), _LEAST_ROWS), neighbours.rows.shape[1]
    figure.suptitle(_rows_title(neighbours, colouring), fontsize="medium", parse_math=False)
    tiles = figure.subplots(num_rows, num_columns + 1, squeeze=False, width_ratios=[1, 0.2, *[1] * (num_columns - 1)])
    for axes in (*tiles[:, 1], *tiles[len(neighbours.rows) :].flat):
        axes.set_visible(False)
    tiles[0, 0].set_title("query", fontsize="small")
    tiles[0, 2].set_title("nearest", fontsize="small")
    for number, (line, letter) in enumerate(zip(tiles[: len(neighbours.rows)], ascii_uppercase, strict=False)):
        line[0].set_ylabel(letter, rotation=0, weight="bold", horizontalalignment="right", verticalalignment="center")
        for column, axes in enumerate([line[0], *line[2:]]):
            axes.set(xticks=[], yticks=[])
            axes.set_visible(bool(neighbours.rows[number, column] >= 0))
            axes.imshow(neighbours.pictures[number, column].numpy(), interpolation="nearest")
            axes.spines[:].set(color=_OTHER)
            _label_tile(axes, neighbours, colouring, (number, column))


def _rows_title(neighbours: NeighbourRows, colouring: Colouring | None) -> str:
    title = f"Nearest sequences of other tasks, by cosine ({neighbours.shown})"
    if neighbours.agreement is None or colouring is None:
        return title
    share, chance = 100 * neighbours.agreement.share, 100 * neighbours.agreement.chance
    return f"{title}\nsame {clean(colouring.label, 24)}: {share:.0f} % over the whole map, {chance:.0f} % by chance"


def _label_tile(axes: Axes, neighbours: NeighbourRows, colouring: Colouring | None, tile: tuple[int, int]) -> None:
    """Under a picture its label, how similar it is to the query, and its task; where the label is judged, with a mark
    and a frame."""
    number, column = tile
    words = [f"{neighbours.similarities[number, column]:.2f}".replace("-", "−")] if column else []
    if colouring is not None and not colouring.names:
        value, of_query = (colouring.values[neighbours.rows[number, place]].item() for place in (column, 0))
        is_judged = neighbours.agreement is not None and column > 0
        mark = "" if not is_judged else "✔ " if value == of_query else "✘ "
        words.insert(0, f"{mark}{clean(colouring.text(value), 8)}")
        if is_judged and value == of_query:
            axes.spines[:].set(color=_SAME, linewidth=2.5)
    caption = "\n".join((" · ".join(words), clean(neighbours.tasks[number][column], 14)))
    axes.set_xlabel(caption, fontsize="x-small", fontfamily=_MARK_FONTS, labelpad=2, parse_math=False)


def _save(figure: Figure, path: Path) -> None:
    """
    Raises:
        DataError: the file cannot be written.
    """
    import matplotlib as mpl

    undated = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
    # The same figures are the same file.
    with appearing_whole(path) as draft, mpl.rc_context({"svg.hashsalt": "jepa"}):
        figure.savefig(draft, dpi=150, metadata=undated.get(path.suffix))
