"""The analogy: where the state starts, which places it reads, and that blocks are treated alike."""

from __future__ import annotations

import pytest
import torch

from jepa_core.errors import RecipeError
from jepa_core.facts import AggregatorFacts, Role
from jepa_plugins.aggregators.analogy import AnalogyConfig, demonstrations

PAIRS: tuple[Role, ...] = ("input", "output") * 3
REAL = torch.ones(4, 5, 2, dtype=torch.bool)


def facts(roles: tuple[Role, ...] = PAIRS, context_length: int = 5) -> AggregatorFacts:
    return AggregatorFacts(embedding_dim=12, context_length=context_length, num_tokens=2, roles=roles)


def test_pairs_are_an_input_and_the_output_right_after_it() -> None:
    assert demonstrations(PAIRS, 5) == ([0, 2], [1, 3])
    assert demonstrations(("input", "output"), 1) == ([], [])
    assert demonstrations(("frame",) * 4, 3) == ([], [])
    assert demonstrations(("frame", "input", "output", "input", "output"), 4) == ([1], [2])


def test_without_layers_the_state_is_the_question_and_the_mean_change() -> None:
    values = torch.randn(4, 5, 2, 12)
    grids = values.mean(2)

    state = AnalogyConfig(layers=0).build(facts())(values, REAL)

    expected = grids[:, 4] + ((grids[:, 1] - grids[:, 0]) + (grids[:, 3] - grids[:, 2])) / 2
    torch.testing.assert_close(state, expected)


@pytest.mark.parametrize("blocks", [1, 3])
def test_the_state_starts_near_the_analogy_and_every_grid_has_influence(blocks: int) -> None:
    values = torch.randn(4, 5, 2, 12, requires_grad=True)
    learned = AnalogyConfig(dim=8, heads=2, blocks=blocks).build(facts())(values, REAL)
    plain = AnalogyConfig(layers=0).build(facts())(values, REAL)

    assert 0 < (learned - plain).norm() < 0.1 * plain.norm()
    (learned * torch.randn_like(learned)).sum().backward()
    assert values.grad is not None
    assert (values.grad.abs().sum((0, 2, 3)) > 0).all()


def test_without_demonstrations_the_state_starts_as_the_last_grid() -> None:
    values = torch.randn(4, 3, 2, 12)

    state = AnalogyConfig(layers=0).build(facts(("frame",) * 4, 3))(values, REAL[:, :3])

    torch.testing.assert_close(state, values[:, -1].mean(1))


def test_exchanging_two_blocks_of_all_grids_exchanges_them_in_the_state() -> None:
    torch.manual_seed(0)
    analogy = AnalogyConfig(dim=8, heads=2, blocks=3).build(facts()).eval()
    values = torch.randn(4, 5, 2, 12)
    order = [1, 0, 2]
    exchanged = values.unflatten(-1, (3, 4))[..., order, :].flatten(-2)

    expected = analogy(values, REAL).unflatten(-1, (3, 4))[:, order].flatten(1)
    torch.testing.assert_close(analogy(exchanged, REAL), expected)


def test_blocks_that_do_not_divide_the_embedding_say_which_dimension() -> None:
    with pytest.raises(RecipeError, match=r"aggregator\.blocks must divide the embedding dimension 12 \(got 5\)"):
        AnalogyConfig(blocks=5).build(facts())
