"""Draws by sequence are alike wherever a sequence lies; draws for the whole batch are a rank's own."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from jepa_core.conformance.comparable_draws import ComparableDraws
from jepa_core.contracts import Crew

BY_SEQUENCE: list[Callable[[Tensor], Tensor]] = [
    lambda x: torch.rand(len(x), 3),
    lambda x: torch.randn(3, len(x)).T,
    lambda x: torch.randint(1000, (len(x), 3)),
    torch.randn_like,
    F.dropout,
    torch.bernoulli,
    lambda x: torch.normal(x, x),
    lambda x: x.clone().uniform_(),
    lambda x: x.clone().bernoulli_(x),
    lambda x: torch.multinomial(x, 2),
    lambda x: torch.rand(2 * len(x)).view(-1, 2),
]
FOR_ALL: list[Callable[[Tensor], Tensor]] = [
    lambda _: torch.rand(()),
    lambda _: torch.randn(6, 8),
    lambda _: torch.randint(2**62, ()),
    lambda x: torch.randperm(len(x)),
]


def drawn(draw: Callable[[Tensor], Tensor], num: int, crew: Crew) -> Tensor:
    x = torch.linspace(0.1, 0.9, 3).repeat(num, 1)
    torch.manual_seed(crew.rank)
    with ComparableDraws(0, num, crew):
        return torch.cat([draw(x), draw(x)], -1) if draw(x).dim() else torch.stack([draw(x), draw(x)])


@pytest.mark.parametrize("draw", BY_SEQUENCE)
def test_what_is_drawn_by_sequence_is_the_same_for_each_on_every_rank(draw: Callable[[Tensor], Tensor]) -> None:
    whole = drawn(draw, 22, Crew())
    first, second = (drawn(draw, 11, Crew(rank, 2)) for rank in (0, 1))
    assert torch.equal(torch.cat([first, second]), whole)
    assert torch.equal(whole, whole[:1].expand_as(whole))


@pytest.mark.parametrize("draw", FOR_ALL)
def test_what_is_drawn_for_all_is_that_of_one_process_on_the_first_rank_alone(draw: Callable[[Tensor], Tensor]) -> None:
    first, second = (drawn(draw, 11, Crew(rank, 2)) for rank in (0, 1))
    assert not torch.equal(first, second)
    if draw is not FOR_ALL[-1]:
        assert torch.equal(first, drawn(draw, 22, Crew()))


def test_two_draws_differ() -> None:
    first, second = drawn(lambda _: torch.rand(()), 11, Crew())
    assert first != second


def test_a_generator_of_its_own_is_left_alone() -> None:
    generator = torch.Generator().manual_seed(3)
    expected = torch.rand(11, generator=torch.Generator().manual_seed(3))
    with ComparableDraws(0, 11, Crew()):
        assert torch.equal(torch.rand(11, generator=generator), expected)
