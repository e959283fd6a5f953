"""Trials: exact about whether anything changed, and by how much beside a calculation by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, tensor

from jepa_core.audit.bench import Bench
from jepa_core.audit.fields import with_value
from jepa_core.audit.rebuilding import Change
from jepa_core.audit.trial import CLEAR, NO_EFFECT, Glimpse, Trace, relative_change
from jepa_core.recipes.tables import Recipe
from tests.audit.recipes import recorded

RecipeMaker = Callable[..., Recipe]
NUMBERS = st.lists(st.integers(-1000, 1000).map(lambda number: number / 8), min_size=4, max_size=4)


START: Mapping[str, Tensor] = {"predictor|weight": tensor([1.0, 1.0]), "projector|weight": tensor([0.0])}
STATE = {"predictor": (1.0, 2.0), "projector": (3.0,)}


def glimpse(
    total: float = 2.0,
    embeddings: tuple[float, ...] = (3.0, 4.0),
    gradient: tuple[float, ...] | None = (1.0,),
    **state: tuple[float, ...],
) -> Glimpse:
    """What a step left; `state` is what differs from `STATE`, by part, each with one tensor."""
    return Glimpse(
        total=tensor(total),
        embeddings=tensor(embeddings),
        gradient=None if gradient is None else tensor(gradient),
        state={f"{part}|weight": tensor(values) for part, values in {**STATE, **state}.items()},
    )


@given(NUMBERS, NUMBERS)
def test_a_relative_change_is_a_quotient_of_lengths(value: list[float], origin: list[float]) -> None:
    length = math.hypot(*origin)
    expected = math.dist(value, origin) / length if length else float(any(value))
    assert relative_change(tensor(value), tensor(origin)) == pytest.approx(expected, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize(("value", "change"), [(0.0, 0.0), (1e-30, 1.0), (math.nan, 1.0)])
def test_where_there_was_nothing_anything_is_a_whole_change(value: float, change: float) -> None:
    assert relative_change(tensor([value]), tensor([0.0])) == change


@pytest.mark.parametrize(
    ("changed", "effect"),
    [
        ({"total": 3.0}, {"loss": 0.5}),
        ({"embeddings": (3.0, 3.0)}, {"embeddings": 0.2}),
        ({"gradient": (1.5,)}, {"gradient": 0.5}),
        ({"gradient": None}, {"gradient": 1.0}),
        ({"predictor": (1.0, 1.75)}, {"parameters": 0.25}),  # it moved by 0.75 where the other moved by 1
        ({"predictor": (1.0, 1.75), "projector": (0.0,)}, {"parameters": 1.0}),  # the part that differs most
        ({"predictor": (1.0, 2.0, 9.0)}, {}),  # of another shape: nothing to set beside each other
    ],
)
def test_each_figure_is_relative_to_the_unchanged_run(changed: dict[str, object], effect: dict[str, float]) -> None:
    base = Trace(START, [glimpse()])
    found = Trace(START, [glimpse(**changed)]).against(base)  # type: ignore[arg-type]  # parametrized
    nothing = {"embeddings": 0.0, "loss": 0.0, "gradient": 0.0, "parameters": 0.0}
    measured = attrs.asdict(found)
    assert measured.pop("exact_none") is False
    assert measured == pytest.approx({**nothing, **effect})
    assert found.largest == pytest.approx(max([0.0, *effect.values()]))


def test_a_trial_that_was_cut_short_is_judged_at_its_last_step() -> None:
    base = Trace(START, [glimpse(2.0), glimpse(8.0)])
    assert Trace(START, [glimpse(3.0)]).against(base).loss == 0.5


def test_only_equality_in_every_bit_at_every_step_is_no_effect() -> None:
    base = Trace(START, [glimpse(), glimpse()])
    assert Trace(START, [glimpse(), glimpse()]).against(base) is NO_EFFECT
    first_differs = Trace(START, [glimpse(2.000001), glimpse()])
    found = first_differs.against(base)
    assert (found.exact_none, found.largest) == (False, 0.0)
    assert not Trace(START, [glimpse(quantizer=(0.0,))]).against(base).exact_none


@pytest.mark.parametrize("broken", ["embeddings", "loss", "gradient", "parameters"])
def test_a_change_that_breaks_a_figure_is_not_called_small(broken: str) -> None:
    effect = attrs.evolve(NO_EFFECT, exact_none=False, **{broken: math.nan})
    assert math.isnan(effect.largest)
    assert math.isnan(effect.forward) is (broken in ("embeddings", "loss"))


@pytest.fixture
def bench(tiny_recipe: RecipeMaker) -> Bench:
    return recorded(tiny_recipe("optimizer.weight_decay=0", "quantizer.kind=none", "losses.sigreg.weight=0"))


def test_a_weight_moves_the_loss_by_what_its_term_is_worth(bench: Bench) -> None:
    recipe = bench.recipe
    entry = attrs.evolve(recipe.losses["info_nce"], weight=1.5 * recipe.losses["info_nce"].weight)
    changed = attrs.evolve(recipe, losses={**recipe.losses, "info_nce": entry})
    before, after = bench.first_outcome(), bench.first_outcome(Change(recipe=changed))
    assert float(after.terms["info_nce"]) == pytest.approx(1.5 * float(before.terms["info_nce"]))
    assert float(after.total - before.total) == pytest.approx(0.5 * float(before.terms["info_nce"]), rel=1e-4)


def test_a_trial_stops_at_the_first_step_that_clearly_differs_where_that_is_enough(bench: Bench) -> None:
    change = Change(recipe=attrs.evolve(bench.recipe, optimizer=attrs.evolve(bench.recipe.optimizer, lr=0.5)))
    cut, whole = (bench.try_change(change, whole=whole) for whole in (False, True))
    assert cut.largest > CLEAR
    assert whole.loss != cut.loss


def test_noise_of_rounding_is_told_from_a_change_and_from_none(bench: Bench) -> None:
    small, large = (bench.try_change(Change(recipe=bench.recipe, noise=noise)) for noise in (1e-7, 1e-2))
    assert not small.exact_none
    assert 0 < small.forward < 1e-4 < large.forward


def test_dropout_alone_is_quiet_in_a_quiet_trial(tiny_recipe: RecipeMaker) -> None:
    bench = recorded(tiny_recipe())
    changed = with_value(bench.recipe, "predictor", "dropout", 0.5)
    assert not bench.try_change(Change(recipe=changed)).exact_none
    assert bench.try_change(Change(recipe=changed), quiet=True).exact_none
