"""Pictures of embeddings: what is drawn for which label, and what becomes of the file."""

from __future__ import annotations

import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import attrs
import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgb
from matplotlib.text import Annotation

from jepa_core.engine.checkpoint_map import Colouring, NeighbourRows, RunMap
from jepa_core.engine.embedding_map import Agreement, PlaneMap
from jepa_core.errors import DataError, JepaError
from jepa_core.presentation.embedding_plot import check_picture, draw_map, figure_of

POINTS = torch.randn(40, 2, generator=torch.Generator().manual_seed(0)).double()


def a_map(values: torch.Tensor | None = None, *, label: str = "digit", **changes: Any) -> RunMap:
    plain = RunMap(
        run="mine-2026",
        step=1200,
        why="",
        device="cpu",
        array="state",
        split="validation",
        data="drawn data",
        num_sequences=len(POINTS),
        plane=PlaneMap(points=POINTS, axes=("PC 1", "PC 2"), explained=(0.313, 0.12)),
        colouring=None if values is None else Colouring(label=label, values=values),
        labels=(label, "task"),
        neighbours=None,
        notes=(),
    )
    return attrs.evolve(plain, **changes)


def classes(num: int) -> torch.Tensor:
    return torch.arange(len(POINTS)) % num


def neighbours(*, agreement: Agreement | None) -> NeighbourRows:
    """Two rows of a query and three others, the last of which is missing in the second row."""
    rows = torch.tensor([[0, 4, 5, 8], [1, 5, 2, -1]])
    pictures = torch.rand(2, 4, 6, 5, 3, generator=torch.Generator().manual_seed(0))
    return NeighbourRows(
        rows=rows,
        similarities=torch.tensor([[1.0, 0.9, 0.8, 0.75], [1.0, 0.5, -0.25, 0.0]]),
        tasks=(("a", "a_$long$_name_of_a_task", "c", "d"), ("e", "f", "g", "")),
        pictures=pictures,
        shown="target",
        agreement=agreement,
    )


def texts(run_map: RunMap, path: Path) -> list[str]:
    """What is written in the picture: an SVG has every line of text as a comment."""
    draw_map(run_map, path)
    lines = path.read_text().split("<!-- ")[1:]
    return [line.partition(" -->")[0].strip() for line in lines]


def test_run_step_array_data_and_shares_are_written(tmp_path: Path) -> None:
    shown = texts(a_map(num_sequences=90), tmp_path / "a.svg")
    assert "mine-2026 · step 1,200 · state" in shown
    assert "drawn data · validation: 40 of 90" in shown
    assert {"PC 1 (31 %)", "PC 2 (12 %)"} <= set(shown)


def test_axes_that_explain_no_variance_have_their_names_alone(tmp_path: Path) -> None:
    plane = PlaneMap(points=POINTS, axes=("UMAP 1", "UMAP 2"))
    assert {"UMAP 1", "UMAP 2"} <= set(texts(a_map(plane=plane), tmp_path / "a.svg"))


@pytest.mark.parametrize("num", [1, 3, 10, 11, 20])
def test_a_few_classes_have_a_legend_and_each_its_look(tmp_path: Path, num: int) -> None:
    shown = texts(a_map(classes(num) + 70), tmp_path / "a.svg")
    assert "digit" in shown
    assert [text for text in shown if text.startswith(("7", "8")) and len(text) == 2] == [
        str(70 + number) for number in range(num)
    ]


def test_real_numbers_have_a_scale(tmp_path: Path) -> None:
    draw_map(a_map(torch.linspace(0, 1, 40)), tmp_path / "a.svg")
    drawn = (tmp_path / "a.svg").read_text()
    assert "<!-- digit -->" in drawn
    assert "legend" not in drawn
    assert "<image" in drawn  # the scale


def test_more_classes_than_a_legend_holds_have_no_colours_and_no_order(tmp_path: Path) -> None:
    many, plain = a_map(classes(21)), a_map()
    draw_map(many, tmp_path / "many.svg")
    draw_map(plain, tmp_path / "plain.svg")
    assert (tmp_path / "many.svg").read_bytes() == (tmp_path / "plain.svg").read_bytes()
    assert many.why_no_colours == "digit has 21 classes, and a legend holds 20"
    assert a_map(classes(20)).why_no_colours == ""


@pytest.mark.parametrize("num", [2, 8, 9, 10, 20])
def test_every_class_looks_unlike_all_others(num: int) -> None:
    """In its marker, or in a colour that is far away in the cube of red, green and blue."""
    legend = figure_of(a_map(classes(num))).axes[0].get_legend()
    assert legend is not None
    looks = [(line.get_marker(), np.array(to_rgb(line.get_color()))) for line in legend.get_lines()]
    assert len({marker for marker, _ in looks}) == (1 if num <= 8 else 3)
    for (marker, colour), (other_marker, other) in combinations(looks, 2):
        assert marker != other_marker or np.linalg.norm(colour - other) > 0.25


def test_names_are_no_formulas_and_begin_as_they_like(tmp_path: Path) -> None:
    colouring = Colouring(label="_$x$", values=classes(2), names={0: "_a$y$", 1: "b"})
    shown = texts(a_map(colouring=colouring, run="$z$_1", data="^_$"), tmp_path / "a.svg")
    assert {"_$x$", "_a$y$", "b", "$z$_1 · step 1,200 · state", "^_$ · validation: 40"} <= set(shown)


def test_neighbours_have_values_with_marks_and_queries_letters(tmp_path: Path) -> None:
    judged = neighbours(agreement=Agreement(share=0.62, chance=0.104))
    shown = texts(a_map(classes(4), neighbours=judged), tmp_path / "a.svg")
    assert "Nearest sequences of other tasks, by cosine (target)" in shown
    assert "same digit: 62 % over the whole map, 10 % by chance" in shown
    assert [text for text in shown if text.startswith(("✔", "✘"))] == [
        "✔ 0 · 0.90",
        "✘ 1 · 0.80",
        "✔ 0 · 0.75",
        "✔ 1 · 0.50",
        "✘ 2 · −0.25",
    ]
    assert {"query", "A", "B"} <= set(shown)


def test_pictures_have_their_task_and_how_similar_they_are_to_the_query(tmp_path: Path) -> None:
    shown = texts(a_map(neighbours=neighbours(agreement=None)), tmp_path / "a.svg")
    assert {"a", "a_$long$_name…", "0.90", "0.80", "c", "e", "g", "−0.25"} <= set(shown)
    assert "1.00" not in shown  # of the query with itself


def test_tasks_stand_once_under_pictures_when_they_are_the_colours() -> None:
    colouring = Colouring(label="task", values=classes(4), names={0: "a", 1: "b", 2: "c", 3: "d"})
    figure = figure_of(a_map(colouring=colouring, neighbours=neighbours(agreement=None)))
    shown = [axes.get_xlabel() for axes in figure.axes if axes.get_visible() and axes.images]
    assert shown[:2] == ["\na", "0.90\na_$long$_name…"]


def test_letters_of_the_rows_stand_at_their_queries_on_the_map() -> None:
    figure = figure_of(a_map(neighbours=neighbours(agreement=None)))
    letters = {text.get_text(): text.xy for text in figure.findobj(Annotation)}
    assert letters == {"A": tuple(POINTS[0].tolist()), "B": tuple(POINTS[1].tolist())}


def test_points_of_a_class_have_its_colour_and_marker() -> None:
    figure = figure_of(a_map(classes(11)))
    parts = [part for part in figure.axes[0].collections if isinstance(part, PathCollection)]
    for number, part in enumerate(parts):
        chosen = classes(11) % 3 == number
        np.testing.assert_array_equal(np.asarray(part.get_offsets()), POINTS[chosen].numpy())
        assert len(np.unique(np.asarray(part.get_facecolor()), axis=0)) == len(classes(11)[chosen].unique())
    shapes = {np.asarray(part.get_paths()[0].vertices).tobytes() for part in parts}
    assert len(shapes) == len(parts) == 3


def test_a_neighbour_that_is_not_there_is_left_blank() -> None:
    rows = neighbours(agreement=None)
    figure = figure_of(a_map(neighbours=rows))
    shown = [axes for axes in figure.axes if axes.get_visible() and axes.images]
    assert len(shown) == 7
    first = shown[0].images[0].get_array()
    assert first is not None
    assert np.array_equal(first, rows.pictures[0, 0].numpy())


def test_what_tasks_cannot_share_is_shown_without_marks(tmp_path: Path) -> None:
    rows = neighbours(agreement=None)
    shown = texts(a_map(torch.linspace(0, 1, 40), neighbours=rows), tmp_path / "a.svg")
    assert not any(text.startswith(("✔", "✘")) for text in shown)
    assert "0.128 · 0.80" in shown
    assert not any("by chance" in text for text in shown)
    assert "query" in texts(a_map(neighbours=rows), tmp_path / "b.svg")


@pytest.mark.parametrize(("suffix", "beginning"), [(".svg", b"<?xml"), (".png", b"\x89PNG"), (".pdf", b"%PDF")])
def test_the_same_figures_are_the_same_file_in_every_format(tmp_path: Path, suffix: str, beginning: bytes) -> None:
    rows = neighbours(agreement=Agreement(share=0.5, chance=0.25))
    for name in "xy":
        draw_map(a_map(classes(12), neighbours=rows), tmp_path / f"{name}{suffix}")
    one, two = ((tmp_path / f"{name}{suffix}").read_bytes() for name in "xy")
    assert one == two
    assert one.startswith(beginning)
    assert len(list(tmp_path.iterdir())) == 2


def test_settings_of_matplotlib_stay_as_they_are(tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    draw_map(a_map(classes(3), neighbours=neighbours(agreement=None)), tmp_path / "a.svg")
    assert dict(mpl.rcParams) == before


def test_a_picture_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    taken = tmp_path / "a.png"
    (taken / "inside").mkdir(parents=True)
    with pytest.raises(DataError, match=r"a\.png cannot be written"):
        draw_map(a_map(), taken)
    assert list(tmp_path.iterdir()) == [taken]


def test_what_cannot_be_drawn_is_refused_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_picture(tmp_path / "a.png", replace=False)
    with pytest.raises(DataError, match=r"pictures are written to \.png, \.pdf, \.svg"):
        check_picture(tmp_path / "a.gif", replace=False)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(JepaError, match=r'pip install "jepa-core\[plot\]"'):
        check_picture(tmp_path / "a.png", replace=False)
