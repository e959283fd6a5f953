"""What is timed as ours and as plain torch is the same work: both give the same, both ways."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from jepa_core.benchmarking.ways import both_ways
from jepa_core.contracts import BenchmarkCase, Statistics
from jepa_core.facts import BenchmarkFacts
from jepa_core.registry import installed
from jepa_plugins.benchmarks import attention, codebook, contrast, tokeniser
from jepa_plugins.quantizers.ema_vq import EmaVq

BENCHMARKS = installed().benchmarks


def built(name: str, *, is_quick: bool = True) -> list[BenchmarkCase]:
    torch.manual_seed(1)
    return list(BENCHMARKS[name].config_class().build(BenchmarkFacts(device="cpu", is_quick=is_quick)))


def outcome(way: Any, case: BenchmarkCase) -> list[Tensor]:
    """What a way gives, and the gradients of the inputs."""
    inputs = [given.detach().clone().requires_grad_(given.requires_grad) for given in case.inputs]
    returned = way(*inputs)
    outputs = [returned] if isinstance(returned, Tensor) else list(returned)
    total = sum((output * output).sum() for output in outputs if output.requires_grad)
    if isinstance(total, Tensor):
        total.backward()
    return [output.detach() for output in outputs] + [given.grad for given in inputs if given.grad is not None]


def test_there_is_one_for_each_kernel() -> None:
    assert set(BENCHMARKS) >= {"attention", "codebook", "contrast", "tokeniser"}
    assert all(component.summary for component in BENCHMARKS.values())


@pytest.mark.parametrize("name", BENCHMARKS)
def test_all_ways_give_the_same(name: str) -> None:
    for case in built(name):
        expected = outcome(case.naive, case)
        assert expected
        for way in (case.ours, *case.others.values()):
            torch.testing.assert_close(outcome(way, case), expected, rtol=1e-4, atol=1e-5)


def test_a_codebook_follows_its_tokens_in_both_ways_alike() -> None:
    _, case = built("codebook")
    for _ in range(3):
        ours, naive = outcome(case.ours, case), outcome(case.naive, case)
    torch.testing.assert_close(ours, naive, rtol=1e-3, atol=1e-4)
    assert not torch.equal(naive[0], outcome(codebook._plain_step(case.inputs[1]), case)[0])


def test_a_codebook_follows_once_the_way_back_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in training. A kernel's way back reads the codebook of the way forward."""
    order: list[str] = []
    after_step = EmaVq.after_step

    def noted(quantizer: EmaVq, statistics: Statistics) -> None:
        order.append("codebook")
        after_step(quantizer, statistics)

    monkeypatch.setattr(EmaVq, "after_step", noted)
    _, case = built("codebook")
    case.inputs[0].register_hook(lambda _: order.append("back"))
    work = both_ways(case.ours, case.inputs)
    for _ in range(3):
        work()
    assert order == ["back", "codebook", "back", "codebook", "back"]


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_case_says_its_size_and_its_floor(name: str) -> None:
    for case in built(name):
        assert case.what
        assert case.floor
        assert case.flop or case.num_bytes
        assert case.items
        assert case.unit


def test_floors_count_what_cannot_be_spared() -> None:
    assert codebook.assignment(10, 4, 6, "cpu").flop == 2 * 10 * 4 * 6
    assert contrast.contrast(8, 24, 4, "cpu").flop == 2 * (2 * 8 * (8 + 24) * 4)
    assert attention.attention(2, 3, 5, 7, 0.0, "cpu").num_bytes == 11 * (2 * 3 * 5 * 7) * 4
    assert tokeniser.tokenising(2, 5, 4, "cpu").num_bytes == 2 * (25 + 16 * (23 * 4 + 4 * 8 + 1))
