"""Results can be read at 80 columns."""

from __future__ import annotations

from jepa_core.benchmarking.results import Rates, Result, Row
from jepa_core.benchmarking.table import WIDTH, head_lines, memory_text, part_lines, result_lines, time_text

ROWS = (
    Row(way="jepa", ms=1234.5, per_second=1.5e9, ratio=123.4, peak_mib=139_000.0, share_of_floor=0.98, first_s=61.2),
    Row(way="pytorch-metric-learning", note="failed: RuntimeError: " + "a very long reason " * 9, is_failure=True),
    Row(way="replayed", ms=0.0123, note="launched after all: something in it draws random numbers on the host"),
)


def test_every_line_fits() -> None:
    long = "262,144 tokens × 256, 8,192 codes: nearest, with the counts and the sums of the tokens of every code"
    result = Result(part="p", case=long, unit="sequences", rows=ROWS, floor_ms=0.5, floor="the product " * 12)
    rates = Rates(flop_per_s=7.12e14, number_format="bf16", bytes_per_s=4.28e12)
    lines = [*head_lines({"device": "NVIDIA H200", "torch": "2.11"}, rates), *part_lines("p", "what " * 30)]
    lines += list(result_lines(result))
    assert [line for line in lines if len(line) > WIDTH] == []
    text = " ".join(" ".join(lines).split())
    for part in (
        "matrix products 712 TFLOP/s in bf16, copies 4.28 TB/s",
        "time sequences/s ratio memory of floor",
        "jepa 1.23 s 1,500,000,000 123 × 135.7 GiB 98 %",
        "the first call took 61.2 s, with compiling",
        "failed: RuntimeError: a very long reason",
        "12.3 µs",
        "draws random numbers on the host",
    ):
        assert part in text


def test_columns_without_figures_have_no_heading() -> None:
    result = Result(part="run", case="jepa run quickstart", rows=(Row(way="to the verdict", ms=45_000.0),))
    assert list(result_lines(result)) == [
        "",
        "jepa run quickstart              time",
        "  to the verdict               45.0 s",
    ]


def test_figures_are_in_the_unit_that_fits() -> None:
    assert [time_text(ms) for ms in (0.0005, 0.5, 1.5, 150.0, 1500.0, 150_000.0)] == [
        "0.500 µs",
        "500 µs",
        "1.50 ms",
        "150 ms",
        "1.50 s",
        "150.0 s",
    ]
    assert [memory_text(mib) for mib in (3.0, 9_000.0, 20_480.0)] == ["3 MiB", "9,000 MiB", "20.0 GiB"]
