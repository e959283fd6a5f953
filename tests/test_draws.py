"""Keyed numbers: the same for whoever asks, and as random as the generator's."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from jepa_core.draws import draw_key, keyed_normal, keyed_uniform

keys = st.integers(0, 2**62 - 1)


def split_mix(seed: int) -> int:
    """Sebastiano Vigna's SplitMix64, in Python's whole numbers."""
    mask = 2**64 - 1
    z = seed & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return z ^ (z >> 31)


@given(keys, st.integers(0, 2**31))
def test_numbers_are_split_mix_s(key: int, first: int) -> None:
    bits = [split_mix(key + place * 0x9E3779B97F4A7C15) >> 41 for place in range(first, first + 4)]
    expected = torch.tensor([(number + 0.5) / 2**23 for number in bits])
    assert torch.equal(keyed_uniform(torch.tensor(key), 4, first=first), expected)


@given(keys, st.integers(0, 9), st.integers(0, 9))
def test_a_part_has_the_numbers_of_the_whole(key: int, before: int, num: int) -> None:
    whole = keyed_uniform(torch.tensor(key), before + num + 3)
    assert torch.equal(keyed_uniform(torch.tensor(key), num, first=before), whole[before : before + num])


def test_they_are_spread_as_they_should_be() -> None:
    torch.manual_seed(0)
    uniform, normal = keyed_uniform(draw_key(torch.device("cpu")), 20_000), keyed_normal(torch.tensor(3), 20_001)
    assert uniform.min() > 0
    assert uniform.max() < 1
    assert stats.kstest(uniform.numpy(), "uniform").pvalue > 1e-3
    assert stats.kstest(normal.numpy(), "norm").pvalue > 1e-3
    assert abs(torch.corrcoef(torch.stack([uniform[:-1], uniform[1:]]))[0, 1]) < 0.03
    other = keyed_uniform(torch.tensor(4), 20_001)
    assert abs(torch.corrcoef(torch.stack([keyed_uniform(torch.tensor(3), 20_001), other]))[0, 1]) < 0.03


def test_logarithms_of_them_are_finite() -> None:
    uniform = keyed_uniform(torch.tensor(11), 3_000_000)
    assert torch.isfinite(-(-uniform.log()).log()).all()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_they_are_compiled_to_the_same_bits() -> None:
    """By the default compiler, which computes indices by itself."""
    key = torch.tensor(2**61 + 12345)
    compiled = torch.compile(keyed_uniform, fullgraph=True, dynamic=False)
    assert torch.equal(compiled(key, 100, first=2**31), keyed_uniform(key, 100, first=2**31))
