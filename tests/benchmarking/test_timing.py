"""Figures of a measurement are what they say: medians, ratios, shares, floors."""

from __future__ import annotations

import time

import pytest
import torch
from torch import Tensor

from jepa_core.benchmarking.device_rates import machine, measured_rates
from jepa_core.benchmarking.matrix_products import MatrixProducts
from jepa_core.benchmarking.results import Rates, Result, Row
from jepa_core.benchmarking.timing import Timing, timed
from jepa_core.benchmarking.ways import COMPILED, NAIVE, OURS, both_ways, measured
from jepa_core.contracts import BenchmarkCase

CPU = torch.device("cpu")
RATES = Rates(flop_per_s=1e9, number_format="fp32", bytes_per_s=1e6)


def case(**changed: object) -> BenchmarkCase:
    """Squares of four numbers."""
    given: dict[str, object] = {
        "what": "4 numbers",
        "inputs": (torch.arange(4.0, requires_grad=True),),
        "ours": lambda numbers: numbers * numbers,
        "naive": lambda numbers: numbers**2,
        "items": 4,
        "unit": "numbers",
    }
    return BenchmarkCase(**given | changed)  # type: ignore[arg-type]


def test_the_time_is_the_median_and_the_first_call_stands_alone() -> None:
    pauses = iter([0.05, 0.002, 0.002, 0.2, 0.002])
    found = timed(lambda: time.sleep(next(pauses)), CPU, Timing(warm_up=2, most=3, fewest=3, seconds=0.0))
    assert found.first_s >= 0.05
    assert 2 <= found.ms < 50
    assert found.peak_mib is None


def test_slow_work_is_done_a_few_times_only() -> None:
    calls: list[float] = []

    def work() -> None:
        calls.append(time.perf_counter())
        time.sleep(0.01)

    timed(work, CPU, Timing(warm_up=2, most=100, fewest=3, seconds=0.05))
    assert 2 + 3 <= len(calls) <= 2 + 5


def test_the_way_back_is_taken_from_everything_that_requires_a_gradient() -> None:
    left, right = torch.ones(3, requires_grad=True), torch.ones(3, requires_grad=True)
    work = both_ways(lambda a, b: (a * 2, b * 3, a.detach()), (left, right))
    for _ in range(2):
        work()
    assert left.grad is not None
    assert right.grad is not None
    assert left.grad.tolist() == [2, 2, 2]  # of the last call alone
    assert right.grad.tolist() == [3, 3, 3]


def test_ratios_are_to_plain_torch_and_shares_to_the_floor() -> None:
    rows = (Row(way=OURS, ms=2.0), Row(way=NAIVE, ms=8.0), Row(way="library", note="out of memory"))
    ours, naive, library = Result(part="p", case="c", yardstick=NAIVE, rows=rows, floor_ms=1.0).related().rows
    assert (ours.ratio, ours.share_of_floor) == (4.0, 0.5)
    assert (naive.ratio, naive.share_of_floor) == (1.0, 0.125)
    assert (library.ratio, library.share_of_floor) == (None, None)


def test_the_floor_is_the_longer_of_operations_and_bytes() -> None:
    assert RATES.least_ms(flop=2e6, num_bytes=0) == pytest.approx(2.0)
    assert RATES.least_ms(flop=2e6, num_bytes=5e3) == pytest.approx(5.0)
    assert RATES.least_ms(flop=0, num_bytes=0) is None


def test_every_way_is_measured_on_the_same_inputs_and_told_before() -> None:
    told: list[str] = []
    further = {"library": lambda numbers: numbers.square()}
    result = measured("squares", case(others=further), RATES, CPU, is_quick=True, tell=told.append)
    assert [row.way for row in result.rows] == [OURS, NAIVE, COMPILED, "library"]
    assert [row.ms is not None for row in result.rows] == [True, True, False, True]
    assert result.rows[0].per_second == pytest.approx(4e3 / (result.rows[0].ms or 0))
    assert told[0] == "squares · 4 numbers · jepa"


def test_a_way_that_fails_has_its_reason_for_a_time() -> None:
    def out_of_memory(_: Tensor) -> Tensor:
        raise torch.OutOfMemoryError("of 140 GiB")

    def wrong(_: Tensor) -> Tensor:
        raise ValueError("no squares here\nand more")

    result = measured("squares", case(ours=out_of_memory, others={"library": wrong}), RATES, CPU, is_quick=True)
    ours, naive, _, library = result.rows
    assert (ours.ms, ours.note, ours.is_failure) == (None, "out of memory", False)
    assert naive.ms is not None
    assert (library.note, library.is_failure) == ("failed: ValueError: no squares here", True)


def test_matrix_products_of_both_ways_are_counted() -> None:
    weights = torch.nn.Linear(5, 7)
    with MatrixProducts() as products:
        weights(torch.ones(3, 5, requires_grad=True)).sum().backward()
    assert products.flop == 3 * (2 * 3 * 5 * 7)  # forward, by the inputs, by the weights
    assert products.ms_alone(CPU, is_quick=True) > 0


def test_batched_products_count_every_batch() -> None:
    with MatrixProducts() as products:
        torch.bmm(torch.ones(2, 3, 5), torch.ones(2, 5, 7))
    assert products.flop == 2 * 2 * 3 * 5 * 7


def test_rates_are_those_of_a_large_product_and_a_large_copy() -> None:
    rates = measured_rates(CPU, is_quick=True)
    assert rates.number_format == "fp32"
    assert 1e8 < rates.flop_per_s < 1e15
    assert 1e7 < rates.bytes_per_s < 1e14


def test_the_machine_has_hardware_and_versions() -> None:
    found = machine(CPU)
    assert "core" in found["device"]
    assert found["torch"] == torch.__version__
