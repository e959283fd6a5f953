"""The projector: its layers, widths and ends."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from jepa_core.engine.projector import build_projector
from jepa_core.recipes.tables import Projector


@settings(max_examples=25, deadline=None)
@given(layers=st.integers(1, 4), dim=st.integers(2, 6), hidden=st.none() | st.integers(1, 6), width=st.integers(1, 6))
def test_it_has_as_many_linear_layers_as_asked_for_and_the_widths(
    layers: int, dim: int, hidden: int | None, width: int
) -> None:
    projector = build_projector(Projector(layers=layers, dim=dim, hidden_dim=hidden), width)
    linears = [module for module in projector if isinstance(module, nn.Linear)]
    middle = hidden or width
    assert [linear.in_features for linear in linears] == [width, *[middle] * (layers - 1)]
    assert [linear.out_features for linear in linears] == [*[middle] * (layers - 1), dim]
    assert projector(torch.zeros(3, 2, width)).shape == (3, 2, dim)


def test_one_layer_is_a_plain_linear_map() -> None:
    projector = build_projector(Projector(layers=1, dim=3), 2)
    one, other = torch.randn(2), torch.randn(2)
    zero = projector(torch.zeros(2))
    torch.testing.assert_close(projector(one + other), projector(one) + projector(other) - zero)


@pytest.mark.parametrize(("final_relu", "can_be_negative"), [(True, False), (False, True)])
def test_it_ends_in_a_relu_only_where_asked(final_relu: bool, can_be_negative: bool) -> None:
    projector = build_projector(Projector(layers=2, dim=16, final_relu=final_relu), 4)
    assert bool((projector(torch.randn(64, 4)) < 0).any()) == can_be_negative
