"""The object encoder: who attends to whom."""

from __future__ import annotations

import pytest
import torch

from jepa_core.contracts import Observations
from jepa_core.facts import EncoderFacts
from jepa_plugins.grids.encoders.objects import ObjectEncoder, ObjectsConfig
from jepa_plugins.grids.space import GridSpace
from tests.grids.observed import observed


def encoder(**settings: object) -> ObjectEncoder:
    torch.manual_seed(0)
    config = ObjectsConfig(dim=8, heads=2, layers=1, max_objects=4, **settings)  # type: ignore[arg-type]
    return config.build(EncoderFacts(space=GridSpace(side=9))).eval()


def grid_with(*cells: tuple[int, int, int]) -> Observations:
    """One 9 × 9 grid with single cells (y, x, colour), and its size."""
    grid = torch.zeros(1, 9, 9, dtype=torch.uint8)
    for y, x, colour in cells:
        grid[0, y, x] = colour
    return observed(grid, torch.tensor([[9, 9]]))


def test_an_object_sees_its_neighbour_and_no_one_farther() -> None:
    encode = encoder()
    first, neighbour, far = (0, 0), (1, 1), (8, 8)
    before = encode(grid_with((*first, 1), (*neighbour, 2), (*far, 3))).values[0, 0]
    other_neighbour = encode(grid_with((*first, 1), (*neighbour, 5), (*far, 3))).values[0, 0]
    other_far = encode(grid_with((*first, 1), (*neighbour, 2), (*far, 6))).values[0, 0]

    assert torch.equal(before, other_far)
    assert not torch.allclose(before, other_neighbour)


def test_equal_objects_have_equal_tokens_wherever_they_stand_in_the_order() -> None:
    encode = encoder()
    alone = encode(grid_with((4, 4, 1)))
    behind_another = encode(grid_with((0, 0, 2), (4, 4, 1)))

    torch.testing.assert_close(alone.values[0, 0], behind_another.values[0, 1])


def test_the_canvas_tells_grids_of_equal_proportions_apart_when_asked() -> None:
    small = torch.ones(1, 9, 9, dtype=torch.uint8)
    small[:, 2:, :] = 10
    small[:, :, 2:] = 10
    large = torch.ones(1, 9, 9, dtype=torch.uint8)
    large[:, 4:, :] = 10
    large[:, :, 4:] = 10
    grids, sizes = torch.cat([small, large]), torch.tensor([[2, 2], [4, 4]])
    with_size, without = encoder(canvas_size=True).canvas_shares(sizes), encoder().canvas_shares(sizes)

    torch.testing.assert_close(with_size, torch.tensor([[2 / 9, 2 / 9], [4 / 9, 4 / 9]]))
    assert without.shape == (2, 0)
    assert not torch.allclose(*encoder(canvas_size=True)(observed(grids, sizes)).values[:, 0])


def test_grids_of_many_sizes_have_the_tokens_that_each_has_beside_full_ones() -> None:
    torch.manual_seed(1)
    encode = encoder()
    grids = torch.randint(0, 4, (40, 9, 9)).to(torch.uint8)
    # From none to many objects.
    grids *= torch.rand(40, 9, 9) < torch.linspace(0, 0.2, 40)[:, None, None]
    batch = observed(grids, torch.full((40, 2), 9))
    embeddings = encode(batch)
    assert {0, 1, 2, 3, 4} <= set(embeddings.mask.sum(1).tolist())
    # A program that is compiled or exported takes all grids together, padded.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.compiler, "is_compiling", lambda: True)
        padded = encode(batch)
    torch.testing.assert_close(embeddings.values, padded.values)
    assert torch.equal(embeddings.mask, padded.mask)
    embeddings.values.square().sum().backward()
    by_size = [parameter.grad.clone() for parameter in encode.parameters() if parameter.grad is not None]
    encode.zero_grad()
    padded.values.square().sum().backward()
    for ours, theirs in zip(by_size, (p.grad for p in encode.parameters() if p.grad is not None), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_grids_without_any_object_have_no_token_and_yet_a_gradient() -> None:
    tokens = encoder()(grid_with())
    assert not tokens.mask.any()
    assert not tokens.values.any()
    assert tokens.values.requires_grad
