"""Edits of vectors: small, never nothing, and undone by one that is as likely."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jepa_plugins.vectors.edits import drawn_below, edited, with_a_change, with_one_value_redrawn


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 12),
    st.integers(2, 5),
    st.integers(0, 9999),
    st.sampled_from([0.0, 1e-6, 1.0, 1e6]),
    st.sampled_from([0.0, 1.0, -1e4]),
)
def test_an_edit_changes_every_vector_by_more_than_rounding(
    dim: int, places: int, seed: int, scale: float, level: float
) -> None:
    moments = drawn(8, places, dim, seed=seed) * scale + level
    torch.manual_seed(seed)
    changed = edited(moments[:, -1], moments)
    assert changed.isfinite().all()
    size = moments.abs().flatten(1).amax(1)
    assert ((changed - moments[:, -1]).abs().amax(1) > 4e-7 * size).all()


def test_at_most_a_quarter_of_the_numbers_change() -> None:
    moments = drawn(200, 3, 16)
    torch.manual_seed(0)
    num_changed = (edited(moments[:, -1], moments) != moments[:, -1]).sum(1)
    assert num_changed.min() >= 1
    assert num_changed.max() <= 4
    assert len(num_changed.unique()) == 4


def test_an_edit_moves_a_number_by_a_difference_of_moments_or_turns_it_about_their_midpoint() -> None:
    moments = drawn(60, 3, 4)
    vectors = drawn(60, 4, seed=1)
    torch.manual_seed(3)
    for before, after, own in zip(vectors, edited(vectors, moments), moments, strict=True):
        (place,) = (before != after).nonzero().squeeze(1).tolist()
        column = own[:, place]
        differences = (column[:, None] - column).flatten()
        turned = (column[:, None] + column).flatten() - before[place]
        possible = torch.cat([before[place] + differences, turned, column])
        assert (possible - after[place]).abs().min() < 1e-5


def test_a_single_change_is_to_a_value_of_its_own_channel() -> None:
    pool = drawn(300, 4, 2) + torch.tensor([0.0, 100.0])
    flat = pool[:, :3].flatten(1)
    torch.manual_seed(0)
    changed = with_one_value_redrawn(flat, pool)
    assert ((changed != flat).sum(1) == 1).all()
    for before, after, own in zip(flat, changed, pool, strict=True):
        place = int((before != after).nonzero())
        assert after[place] in own[:, place % 2]
        assert after[place] != before[place]


def test_what_only_rounding_changed_is_changed_once_more() -> None:
    pool = drawn(5, 4, 2)
    flat = pool[:, 0]
    rounded = flat * (1 + 1e-7)
    moved = flat + 1
    assert ((with_a_change(flat, rounded, pool) - flat).abs().amax(1) > 1e-3).all()
    assert with_a_change(flat, moved, pool).equal(moved)


def test_draws_lie_below_their_limit_and_reach_all_of_it() -> None:
    torch.manual_seed(0)
    drawn_numbers = drawn_below(torch.tensor([1, 3]).repeat(200))
    assert drawn_numbers[::2].unique().tolist() == [0]
    assert drawn_numbers[1::2].unique().tolist() == [0, 1, 2]
