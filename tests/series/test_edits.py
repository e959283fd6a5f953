"""Edits of series: never nothing, and each undone by one that is as likely."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from jepa_plugins.series.edits import edited, exchanged_pieces, reversed_piece, rolled, turned_piece


def drawn(num: int = 30, length: int = 10, channels: int = 2, seed: int = 0) -> Tensor:
    return torch.randn(num, length, channels, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 9), st.integers(1, 3), st.integers(0, 9999), st.sampled_from([0.0, 1e-3, 1.0, 1e5]))
def test_an_edit_changes_every_series_by_more_than_rounding(
    length: int, channels: int, seed: int, scale: float
) -> None:
    values = drawn(10, length, channels, seed) * scale + 7
    values[::2] = values[::2, :1]
    torch.manual_seed(seed)
    changed = edited(values, values.repeat(1, 2, 1))
    assert changed.shape == values.shape
    moved, size = (changed - values).abs().amax(1), values.abs().amax(1)
    assert (moved > 4e-7 * size).any(1).all()


@pytest.mark.parametrize("edit", [reversed_piece, exchanged_pieces, turned_piece])
def test_the_same_draw_undoes_it(edit: Callable[[Tensor], Tensor]) -> None:
    values = drawn()
    torch.manual_seed(4)
    once = edit(values)
    torch.manual_seed(4)
    torch.testing.assert_close(edit(once), values)
    assert ((once != values).flatten(1).any(1)).float().mean() > 0.9


def test_a_roll_is_one_step_later_or_earlier_as_often() -> None:
    values = drawn(400)
    torch.manual_seed(0)
    moved = rolled(values)
    later = (moved == values.roll(1, 1)).flatten(1).all(1)
    earlier = (moved == values.roll(-1, 1)).flatten(1).all(1)
    assert (later ^ earlier).all()
    assert 0.4 < float(later.float().mean()) < 0.6


@pytest.mark.parametrize("edit", [reversed_piece, exchanged_pieces, rolled])
def test_moves_keep_the_steps_of_a_series_whole(edit: Callable[[Tensor], Tensor]) -> None:
    values = drawn()
    moved = edit(values)
    for before, after in zip(values, moved, strict=True):
        assert sorted(map(tuple, before.tolist())) == sorted(map(tuple, after.tolist()))


def test_a_reversed_piece_is_one_piece_of_up_to_half_the_length() -> None:
    values = torch.arange(10.0)[None, :, None].repeat(200, 1, 1)
    torch.manual_seed(0)
    lengths = set()
    for row in reversed_piece(values)[..., 0].long().tolist():
        places = [place for place in range(10) if row[place] != place]
        first, last = places[0], places[-1]
        assert row[first : last + 1] == list(range(last, first - 1, -1))
        lengths.add(last - first + 1)
    assert lengths == {2, 3, 4, 5}


def test_exchanged_pieces_change_places_and_the_rest_stays() -> None:
    values = torch.arange(9.0)[None, :, None].repeat(300, 1, 1)
    torch.manual_seed(0)
    lengths = set()
    for row in exchanged_pieces(values)[..., 0].long().tolist():
        moved = [place for place in range(9) if row[place] != place]
        assert len(moved) % 2 == 0
        length = len(moved) // 2
        first, second = moved[:length], moved[length:]
        assert [row[place] for place in first] == second
        assert [row[place] for place in second] == first
        lengths.add(length)
    assert lengths == {1, 2, 3, 4}


def test_a_turned_piece_keeps_its_mean() -> None:
    values = drawn()
    torch.manual_seed(0)
    turned = turned_piece(values)
    torch.testing.assert_close(turned.mean(1), values.mean(1))
    changed = (turned != values).any(2)
    assert changed.sum(1).max() <= 5
    assert changed.sum(1).min() >= 2
