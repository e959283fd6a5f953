"""What a null of a plugin may do without stopping the run, or changing it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs
import pytest
import torch
from torch import Tensor

from jepa_core.contracts import Observations, Sequences
from jepa_core.engine.interruption import StoppedBeforeTraining
from jepa_core.engine.nulls import ChosenNulls, MeasuredNulls, rank_nulls
from jepa_core.engine.retrieval import CandidateList
from jepa_core.facts import DatasetFacts, NullFacts
from jepa_core.recipe.tables import Recipe
from jepa_core.watch.nulls import RankedNulls
from jepa_plugins.grids.nulls.equal_cells import EqualCells


def nothing() -> None:
    """A fit that finds nothing."""


@attrs.frozen
class Given:
    """A null that does `fit`, and scores as counting equal cells does, scaled."""

    fits: Callable[[], object] = nothing
    scaled: Callable[[Tensor], Tensor] = lambda scores: scores

    def build(self, facts: NullFacts) -> Given:
        return self

    def fit(self, train: Sequences) -> Mapping[str, float]:
        self.fits()
        return {}

    def scores(self, context: Observations, candidates: Observations) -> Tensor:
        return self.scaled(EqualCells(11).scores(context, candidates))


def ranked(
    recipe: Recipe, recorded: RankedNulls | None = None, disabled: tuple[str, ...] = (), **nulls: Given
) -> MeasuredNulls:
    """These nulls alone, on the validation of the recipe's data."""
    dataset = recipe.data.build(DatasetFacts(seed=0))
    candidates = CandidateList(dataset.space, dataset.validation.observations)
    configs: Mapping[str, Any] = nulls
    chosen = ChosenNulls(configs=configs, with_untrained=False, disabled=disabled)
    return rank_nulls(chosen, dataset, candidates, None, recorded=recorded)


class UnspeakableError(Exception):
    """Whose text is a fault of its own."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


def raises(error: BaseException) -> Callable[[], None]:
    def fit() -> None:
        raise error

    return fit


@pytest.mark.parametrize(
    ("fits", "why"),
    [
        (raises(UnspeakableError()), "UnspeakableError, whose text cannot be shown ("),
        (raises(GeneratorExit("gone")), "GeneratorExit: gone ("),
        (raises(SystemExit(0)), "SystemExit: 0 ("),
        (lambda: torch.set_grad_enabled(False), "ValueError: it leaves torch's gradient mode changed ("),
        (lambda: torch.set_default_dtype(torch.float64), "ValueError: it leaves torch's default dtype changed ("),
    ],
)
def test_whatever_a_null_does_it_is_left_out_and_named_and_the_run_is_as_before(
    tiny_recipe: Callable[..., Recipe], fits: Callable[[], object], why: str
) -> None:
    try:
        found = ranked(tiny_recipe(), odd=Given(fits), plain=Given()).ranked
        assert torch.is_grad_enabled()
        assert torch.get_default_dtype() == torch.float32
    finally:
        torch.set_grad_enabled(True)
        torch.set_default_dtype(torch.float32)
    assert [null.name for null in found.figures] == ["plain"]
    assert found.failed["odd"].startswith(why)


def test_a_null_that_draws_from_torchs_generator_changes_no_draw_of_the_run(
    tiny_recipe: Callable[..., Recipe],
) -> None:
    recipe = tiny_recipe()
    states = []
    for fits in (nothing, lambda: torch.rand(7)):
        torch.manual_seed(5)
        assert not ranked(recipe, odd=Given(fits)).ranked.failed
        states.append(torch.get_rng_state())
    assert torch.equal(*states)


@pytest.mark.parametrize("stop", [StoppedBeforeTraining(143), KeyboardInterrupt()])
def test_a_stop_while_a_null_is_fitted_is_no_fault_of_the_null(
    tiny_recipe: Callable[..., Recipe], stop: BaseException
) -> None:
    with pytest.raises(type(stop)):
        ranked(tiny_recipe(), odd=Given(raises(stop)))
