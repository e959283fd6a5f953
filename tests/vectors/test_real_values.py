"""Keys, likeness, checks and figures of real numbers, against numpy."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jepa_core.observations import Observations
from jepa_plugins.vectors import real_values
from jepa_plugins.vectors.real_values import (
    ChannelFigures,
    audited_values,
    check_values,
    keys_of,
    likeness,
    not_finite,
)


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_values_have_one_key_if_and_only_if_they_are_equal() -> None:
    values = torch.randint(-1, 2, (400, 3), generator=torch.Generator().manual_seed(1)).float()
    keys = keys_of(values, 1)
    equal = (values[:, None] == values[None]).all(-1)
    assert keys.dtype == torch.int64
    assert torch.equal(keys[:, None] == keys[None], equal)


def test_keys_of_round_numbers_use_all_bits() -> None:
    # Whole numbers differ in their high bits alone: a plain sum would leave the low bits of all keys the same.
    keys = keys_of(torch.arange(4096.0)[:, None], 1)
    assert len(keys.unique()) == 4096
    for bit in range(64):
        share = ((keys >> bit) & 1).float().mean()
        assert 0.3 < share < 0.7, bit


def test_negative_zero_is_zero_and_the_place_of_a_number_counts() -> None:
    keys = keys_of(torch.tensor([[0.0, 1.0], [-0.0, 1.0], [1.0, 0.0]]), 1)
    assert keys[0] == keys[1] != keys[2]


def test_keys_are_the_same_in_parts_and_of_a_view(monkeypatch: pytest.MonkeyPatch) -> None:
    values = drawn(7, 3, 4)
    keys = keys_of(values, 1)
    transposed = values.movedim(2, 0).contiguous().movedim(0, 2)
    monkeypatch.setattr(real_values, "NUMBERS_AT_ONCE", 5)
    assert keys_of(transposed, 1).equal(keys)
    assert keys.shape == (7, 3)


def test_likeness_is_one_of_equals_and_falls_with_the_distance() -> None:
    lists = drawn(3, 5, 4)
    lists[0, 1] = lists[0, 0]
    wide = lists.double().numpy()
    squared = ((wide[:, :, None] - wide[:, None]) ** 2).sum(-1)
    mean = squared.sum((1, 2), keepdims=True) / 20
    np.testing.assert_allclose(likeness(lists).numpy(), 1 / (1 + squared / mean), rtol=1e-5)
    assert likeness(lists)[0, 0, 1] == 1


@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e30])
def test_likeness_is_finite_at_every_scale_and_in_lists_of_equals(scale: float) -> None:
    alike = likeness(drawn(2, 3, 4) * scale)
    assert alike.isfinite().all()
    assert (alike.diagonal(dim1=1, dim2=2) == 1).all()
    assert likeness(drawn(2, 1, 4)).tolist() == [[[1.0]], [[1.0]]]


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 6), st.integers(1, 5), st.integers(0, 99), st.sampled_from([1, 7, 1 << 20]))
def test_channel_figures_are_numpys_in_parts_too(rows: int, channels: int, seed: int, at_once: int) -> None:
    values = drawn(rows, 3, 2, channels, seed=seed) + 1000
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(real_values, "NUMBERS_AT_ONCE", at_once)
        found = ChannelFigures.of(values)
    wide = values.double().numpy().reshape(-1, channels)
    np.testing.assert_allclose(found.mean.numpy(), wide.mean(0), rtol=1e-12)
    np.testing.assert_allclose(found.std.numpy(), wide.std(0), rtol=1e-9)
    np.testing.assert_array_equal(found.least.numpy(), wide.min(0))
    np.testing.assert_array_equal(found.most.numpy(), wide.max(0))


def test_what_is_not_finite_is_counted_and_placed_across_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    values = drawn(6, 2, 3)
    values[4, 1, 2], values[5, 0, 0] = float("nan"), float("-inf")
    monkeypatch.setattr(real_values, "NUMBERS_AT_ONCE", 6)
    assert not_finite(values) == (2, (4, 1, 2))
    assert not_finite(values[:4]) == (0, None)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"grid": torch.zeros(2, 2, 3)}, r"its tensors are grid: vectors have values"),
        ({"values": torch.zeros(2, 2, 3).double()}, r"values are torch.float64, not torch.float32: convert them"),
        ({"values": torch.zeros(2, 2, 4)}, r"vectors are 4, not 3 \(numbers\)"),
        ({"values": torch.zeros(2, 2)}, r"vectors are single values, not 3"),
        (
            {"values": torch.tensor([[[0.0, 1, 2], [3, float("inf"), 5]]])},
            r"1 of 6 values are not finite, the first, inf, at values\[0, 1, 1\]: fill them in",
        ),
    ],
)
def test_a_check_says_what_is_wrong_and_where(tensors: dict[str, torch.Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_values(Observations(tensors), (3,), "vectors", "numbers")


def test_constant_channels_and_very_different_scales_are_found() -> None:
    values = drawn(50, 2, 4)
    values[..., 1] = 3.0
    values[..., 2] *= 1000
    audit = audited_values(values, "series", "2 steps", "channel")
    constant, unequal = audit.findings
    assert (constant.name, constant.severity) == ("constant channels", "warning")
    assert "1 of 4 channels never changes: channel 1 is always 3." in constant.message
    assert unequal.name == "unequal channels"
    assert "channel 2 has a standard deviation of" in unequal.message
    assert "Standardise" in unequal.advice
    assert unequal.set == {"data": {"standardise": True}}
    assert audit.lines[0] == ("series", "2 steps")
    assert audit.figures["std.minimum"] == 0


def test_channels_that_vary_little_beside_their_mean_are_found() -> None:
    values = drawn(500, 2, 4)
    values[..., 1] += 1013
    values[..., 3] -= 10
    (far,) = audited_values(values, "series", "2 steps", "channel").findings
    assert (far.name, far.severity) == ("channels far from zero", "warning")
    assert "2 of 4 channels vary little beside their mean: channel 1 is 1013 on average" in far.message
    assert "Standardise" in far.advice
    assert far.set == {"data": {"standardise": True}}


def test_scales_within_a_hundredfold_are_no_finding() -> None:
    values = drawn(500, 2, 2) * torch.tensor([1.0, 50.0])
    assert not audited_values(values, "series", "2 steps", "channel").findings


@pytest.mark.parametrize(
    ("scale", "told"),
    [(1e30, "Values are as large as .*squares are infinite"), (1e-30, "Values vary by .*squares are zero")],
)
def test_values_whose_squares_float32_does_not_hold_are_critical(scale: float, told: str) -> None:
    values = drawn(6, 3, 2) * scale
    (finding,) = (
        f for f in audited_values(values, "vectors", "2 numbers", "dimension").findings if f.name == "squares"
    )
    assert finding.severity == "critical"
    assert re.search(told, finding.message)
    usual = audited_values(drawn(6, 3, 2), "vectors", "2 numbers", "dimension")
    assert not usual.findings


def test_of_standardised_channels_values_are_told_as_they_were_given() -> None:
    values = drawn(50, 2, 2)
    values[..., 1] = 0.0
    audit = audited_values(values, "series", "2 steps", "channel", ((5.0, 2.0), (7.3, 1.0)))
    (constant,) = audit.findings
    assert "channel 1 is always 7.3." in constant.message
    assert audit.lines[0] == ("series", "2 steps · each channel standardised by what trains")


def test_of_several_constant_channels_the_first_are_listed() -> None:
    values = drawn(50, 2, 6)
    values[..., 1:] = torch.arange(1.0, 6.0)
    (constant,) = audited_values(values, "series", "2 steps", "channel").findings
    assert constant.message == "5 of 6 channels never change: 1, 2, 3, …; channel 1 is always 1."


@pytest.mark.parametrize(("scale", "name"), [(0.05, "small"), (0.2, ""), (50, ""), (500, "large")])
def test_channels_that_are_all_small_or_large_are_found(scale: float, name: str) -> None:
    values = drawn(500, 2, 3) * scale
    findings = audited_values(values, "series", "2 steps", "channel").findings
    assert [finding.name for finding in findings] == ([f"{name} channels"] if name else [])
    assert all(finding.set == {"data": {"standardise": True}} for finding in findings)


def test_a_single_channel_far_from_zero_is_told_in_the_singular() -> None:
    values = drawn(500, 2, 2)
    values[..., 1] += 4
    (far,) = audited_values(values, "series", "2 steps", "channel").findings
    assert far.title == "1 of 2 channels varies little beside its mean"
