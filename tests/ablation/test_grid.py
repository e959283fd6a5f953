from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from jepa_core.ablation.grid import Cell, cell_label, cells_of, settings_of
from jepa_core.ablation.variation import Variation
from jepa_core.recipes.structuring import _NAME

KIND = Variation("aggregator.kind", ("mean", "attention"))
WEIGHT = Variation("losses.relational.weight", ("0.02", "0.025", "0.03"))


def test_every_combination_is_a_cell_and_the_first_is_all_references() -> None:
    cells = cells_of([KIND, WEIGHT])
    assert [cell.number for cell in cells] == [1, 2, 3, 4, 5, 6]
    assert len({cell.values for cell in cells}) == 6
    assert cells[0].values == ("mean", "0.02")


def test_a_cell_is_set_by_key_and_value() -> None:
    assert settings_of([KIND, WEIGHT], cells_of([KIND, WEIGHT])[5]) == (
        "aggregator.kind=attention",
        "losses.relational.weight=0.03",
    )


def test_cells_that_differ_in_one_factor_share_the_rest() -> None:
    cells = cells_of([KIND, WEIGHT])
    assert cells[1].without(0) == cells[4].without(0) == ("0.025",)


def test_labels_are_short_where_they_can_be() -> None:
    assert cell_label([KIND], cells_of([KIND])[1]) == "attention"
    assert cell_label([KIND, WEIGHT], cells_of([KIND, WEIGHT])[1]) == "aggregator.kind=mean relational.weight=0.025"
    twins = [Variation("a.x.weight", ("1", "2")), Variation("b.x.weight", ("1", "2"))]
    assert cell_label(twins, cells_of(twins)[1]) == "a.x.weight=1 b.x.weight=2"


@given(st.lists(st.text(), min_size=1, max_size=4), st.integers(1, 999), st.integers(0, 10**9))
@settings(max_examples=100, deadline=None)
def test_whatever_the_values_the_name_can_name_a_run(values: list[str], number: int, seed: int) -> None:
    name = Cell(number, tuple(values)).run_name(seed)
    assert _NAME.fullmatch(name)
