"""What a null of a plugin may do without stopping the run, or changing it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import attrs
import pytest
import torch
from torch import Tensor

from jepa_core.contracts import Observations, Sequences, Space
from jepa_core.engine.interruption import StoppedBeforeTraining
from jepa_core.engine.nulls import ChosenNulls, MeasuredNulls, rank_nulls
from jepa_core.engine.retrieval import CandidateList
from jepa_core.facts import DatasetFacts, NullFacts
from jepa_core.recipes.tables import Recipe
from jepa_core.watch.nulls import RankedNulls
from jepa_plugins.grids.nulls.equal_cells import EqualCells
from jepa_plugins.grids.space import GridSpace


def nothing() -> None:
    """A fit that finds nothing."""


@attrs.frozen
class Given:
    """A null that does `fit`, and scores as counting equal cells does, scaled."""

    spaces: ClassVar[tuple[type[Space], ...]] = (GridSpace,)

    fits: Callable[[], object] = nothing
    scaled: Callable[[Tensor], Tensor] = lambda scores: scores

    def build(self, facts: NullFacts) -> Given:
        return self

    def fit(self, train: Sequences) -> Mapping[str, float]:
        self.fits()
        return {}

    def scores(self, context: Observations, candidates: Observations) -> Tensor:
        return self.scaled(EqualCells().scores(context, candidates))


def ranked(recipe: Recipe, recorded: RankedNulls | None = None, **nulls: Given) -> MeasuredNulls:
    """These nulls alone, on the validation of the recipe's data."""
    dataset = recipe.data.build(DatasetFacts(seed=0))
    candidates = CandidateList(dataset.space, dataset.validation.observations)
    configs: Mapping[str, Any] = nulls
    chosen = ChosenNulls(configs=configs, with_untrained=False, disabled=())
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


SCALES: Mapping[str, Callable[[Tensor], Tensor]] = {
    "tiny": lambda scores: scores * 1e-12,
    "huge": lambda scores: scores.double() * 1e200,
    "whole": lambda scores: scores.int(),
    "beyond float32": lambda scores: scores.long() + 2**40,
    "beyond float32, not whole": lambda scores: scores.double() + 2**30,
    "steep": lambda scores: (scores / 2).exp(),
    "below zero": lambda scores: scores - 100.0,
}


@pytest.mark.parametrize("scale", SCALES)
def test_every_scale_that_keeps_the_order_gives_the_same_ranks(tiny_recipe: Callable[..., Recipe], scale: str) -> None:
    found = ranked(tiny_recipe(), plain=Given(), scaled=Given(scaled=SCALES[scale])).ranked
    plain, scaled = found.get("plain"), found.get("scaled")
    assert plain is not None
    assert scaled is not None
    assert (scaled.mrr, scaled.top1) == (plain.mrr, plain.top1)


def test_one_far_outlier_makes_no_others_tie(tiny_recipe: Callable[..., Recipe]) -> None:
    """The lowest of each row falls far below all others, which stay in their order."""

    def with_outlier(scores: Tensor) -> Tensor:
        return scores.scatter(1, scores.argmin(1, keepdim=True), -1e12)

    def lowest_alone(scores: Tensor) -> Tensor:
        return scores.scatter(1, scores.argmin(1, keepdim=True), -1.0)

    outlying = ranked(tiny_recipe(), null=Given(scaled=with_outlier))
    near = ranked(tiny_recipe(), null=Given(scaled=lowest_alone))
    assert outlying.strongest_ranks is not None
    assert near.strongest_ranks is not None
    assert outlying.strongest_ranks.equal(near.strongest_ranks)


def test_equal_scores_tie_and_so_do_those_that_rounding_parts(tiny_recipe: Callable[..., Recipe]) -> None:
    def rounded(scores: Tensor) -> Tensor:
        return 1 + torch.rand(scores.shape, generator=torch.Generator().manual_seed(0)).mul(4).round() * 2**-23

    found = ranked(tiny_recipe(), constant=Given(scaled=torch.zeros_like), rounded=Given(scaled=rounded)).ranked
    assert {null.top1 for null in found.figures} == {0.0}
    assert len({null.mrr for null in found.figures}) == 1


def test_complex_scores_are_refused_by_name(tiny_recipe: Callable[..., Recipe]) -> None:
    failed = ranked(tiny_recipe(), null=Given(scaled=lambda scores: scores.to(torch.complex64))).ranked.failed
    assert failed["null"].startswith("ValueError: scores are torch.complex64, which have no order: give real numbers (")


@pytest.mark.parametrize("others", [(), ("plain",)])
def test_a_null_that_failed_when_the_run_began_stays_left_out_and_that_is_said(
    tiny_recipe: Callable[..., Recipe], others: tuple[str, ...]
) -> None:
    nulls = dict.fromkeys(others, Given())
    begun = ranked(tiny_recipe(), None, odd=Given(raises(ValueError("boo"))), **nulls).ranked
    again = ranked(tiny_recipe(), begun, odd=Given(), **nulls).ranked
    assert again.figures == begun.figures
    assert again.failed == {"odd": f"when the run began: {begun.failed['odd']}"}


def test_a_run_that_recorded_no_null_is_judged_by_those_there_are(tiny_recipe: Callable[..., Recipe]) -> None:
    assert [null.name for null in ranked(tiny_recipe(), recorded=RankedNulls(), plain=Given()).ranked.figures] == [
        "plain"
    ]
