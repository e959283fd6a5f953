from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from jepa_core.presentation.null_lines import null_lines
from jepa_core.watch.nulls import NullFigures, RankedNulls

NULLS = RankedNulls(
    figures=(
        NullFigures(name="extrapolation", mrr=0.364, top1=0.168, hard_mrr=0.3),
        NullFigures(name="palette_and_size", mrr=0.31, top1=0.1, hard_mrr=0.2),
        NullFigures(name="equal_cells", mrr=0.242, top1=0.064, hard_mrr=0.4),
    ),
    strongest_hard="equal_cells",
)


def shown(nulls: RankedNulls, width: int = 120) -> list[str]:
    return [line.plain for line in null_lines(nulls, width)]


def test_every_null_is_shown_the_strongest_first_with_its_top_1() -> None:
    assert shown(NULLS) == [
        "nulls   extrapolation 0.364 (16.8 %) · palette and size 0.310 · equal cells 0.242",
        "        among near copies: equal cells 0.400 · extrapolation 0.300",
    ]


@pytest.mark.parametrize("width", [48, 60, 80])
def test_lines_end_between_two_nulls(width: int) -> None:
    lines = shown(NULLS, width)
    assert all(len(line) <= width for line in lines)
    joined = " ".join(" ".join(lines).split())
    assert "palette and size 0.310 · equal cells 0.242" in joined
    assert all(not line.strip().startswith("·") for line in lines)


def test_where_no_null_fits_that_is_said_in_words() -> None:
    assert shown(RankedNulls()) == ["nulls   no null fits this data: retrieval stands beside nothing"]


def test_nulls_that_are_switched_off_are_named() -> None:
    assert shown(RankedNulls(disabled=("pair_analogy", "equal_cells")))[1] == (
        "        switched off: pair analogy · equal cells"
    )


def test_nulls_that_failed_are_named_with_why() -> None:
    nulls = RankedNulls(failed={"my_null": "ValueError: boo\x1b[2J (my.py, line 3)"})
    first, second = shown(nulls)
    assert first == "nulls   none is left on: retrieval stands beside nothing"
    assert second.startswith("        left out: my null: ValueError: boo")
    assert "\x1b" not in second


def test_a_name_from_a_plugin_does_not_steer_the_terminal() -> None:
    lines = shown(RankedNulls(figures=(NullFigures(name="a\x1b[2Jb", mrr=0.1, top1=0.1),)))
    assert not any("\x1b" in line for line in lines)


@given(
    st.lists(st.text(st.sampled_from("ab_漢字🙂é\x1b[/]"), min_size=1, max_size=60), unique=True), st.integers(70, 160)
)
def test_lines_of_wide_characters_stay_within_the_width_where_no_name_alone_is_wider(
    names: list[str], width: int
) -> None:
    nulls = RankedNulls(figures=tuple(NullFigures(name=name, mrr=0.25, top1=0.1, hard_mrr=0.2) for name in names))
    for line in null_lines(nulls, width):
        assert cell_len(line.plain) <= width or line.plain.count("·") <= 1
        assert line.plain.isprintable()


@given(st.lists(st.text(st.sampled_from("abc"), min_size=1, max_size=12), unique=True, min_size=1))
def test_every_null_is_named_once_in_the_order_given(names: list[str]) -> None:
    nulls = RankedNulls(figures=tuple(NullFigures(name=name, mrr=0.25, top1=0.1) for name in names))
    shown = " ".join(line.plain for line in null_lines(nulls, 60)).removeprefix("nulls")
    assert [part.split()[0] for part in shown.split("·")] == names
