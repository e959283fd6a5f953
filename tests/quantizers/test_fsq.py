from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from vector_quantize_pytorch import FSQ

from jepa_core.facts import QuantizerFacts
from jepa_plugins.quantizers.fsq import Fsq, FsqConfig


def build(levels: tuple[int, ...], groups: int = 1, dim: int = 6) -> Fsq:
    return FsqConfig(levels=levels, groups=groups).build(QuantizerFacts(embedding_dim=dim))


@pytest.mark.parametrize("levels", [(8, 5, 5, 5), (3, 4), (7,)])
@pytest.mark.parametrize("groups", [1, 2])
def test_it_equals_vector_quantize_pytorch(levels: tuple[int, ...], groups: int) -> None:
    torch.manual_seed(0)
    ours = build(levels, groups, dim=10)
    reference = FSQ(levels, dim=10, num_codebooks=groups)
    reference.project_in.load_state_dict(ours.project_in.state_dict())
    reference.project_out.load_state_dict(ours.project_out.state_dict())
    values, upstream = torch.randn(4, 9, 10, requires_grad=True), torch.randn(4, 9, 10)

    result = ours(values, torch.ones(4, 9, dtype=torch.bool), collect=False)
    expected_values, expected_codes = reference(values)

    torch.testing.assert_close(result.values, expected_values)
    per_group = ours.num_codes // groups
    first_codes = torch.arange(groups) * per_group if groups > 1 else 0
    assert result.codes is not None
    assert torch.equal(result.codes, expected_codes.long() + first_codes)
    (gradient,) = torch.autograd.grad((result.values * upstream).sum(), values)
    (expected_gradient,) = torch.autograd.grad((expected_values * upstream).sum(), values)
    torch.testing.assert_close(gradient, expected_gradient)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(3, 9), min_size=1, max_size=4), st.floats(-1e4, 1e4))
def test_every_code_is_within_range_however_far_the_input(levels: list[int], scale: float) -> None:
    quantizer = build(tuple(levels))
    codes = quantizer(torch.randn(5, 6) * scale, torch.ones(5, dtype=torch.bool), collect=False).codes
    assert codes is not None
    assert (codes >= 0).all()
    assert (codes < quantizer.num_codes).all()


def test_extreme_inputs_reach_the_lowest_and_the_highest_code() -> None:
    quantizer = build((5, 4), dim=2)
    torch.nn.init.eye_(quantizer.project_in.weight)
    torch.nn.init.zeros_(quantizer.project_in.bias)
    far = torch.tensor([[-50.0, -50.0], [50.0, 50.0]])
    codes = quantizer(far, torch.ones(2, dtype=torch.bool), collect=False).codes
    assert codes is not None
    assert codes.tolist() == [0, 19]


def test_equal_codes_give_equal_values() -> None:
    torch.manual_seed(0)
    quantizer = build((3, 3))
    result = quantizer(torch.randn(50, 6), torch.ones(50, dtype=torch.bool), collect=False)
    assert result.codes is not None
    for code in result.codes.unique():
        chosen = result.values[result.codes == code]
        torch.testing.assert_close(chosen, chosen[:1].expand_as(chosen))


def test_two_levels_and_no_dimension_are_refused() -> None:
    with pytest.raises(ValueError, match="levels must be ≥ 3"):
        FsqConfig(levels=(2, 5))
    with pytest.raises(ValueError, match="at least one dimension"):
        FsqConfig(levels=())
