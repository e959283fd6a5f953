"""Results as lines of at most 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping

from jepa_core.benchmarking.results import MS, Rates, Result, Row
from jepa_core.visible_text import clean

WIDTH = 80
_NAME = 26


def head_lines(machine: Mapping[str, str], rates: Rates) -> list[str]:
    """Hardware and versions, and the rates that floors are computed from."""
    device, *versions = (value if name == "device" else f"{name} {value}" for name, value in machine.items())
    reached = (
        f"reached here: matrix products {_rate(rates.flop_per_s)}FLOP/s in {rates.number_format}, "
        f"copies {_rate(rates.bytes_per_s)}B/s"
    )
    kernels = (
        [] if rates.number_format != "fp32" else ["jepa's kernels are for CUDA: here its parts are plain torch too"]
    )
    return [*textwrap.wrap(clean(device), WIDTH), *textwrap.wrap(" · ".join(versions), WIDTH), reached, *kernels]


def part_lines(part: str, what: str) -> list[str]:
    """What a part is, above its results."""
    return ["", *textwrap.wrap(clean(f"{part} · {what}"), WIDTH)]


def result_lines(result: Result) -> Iterator[str]:
    """A size and its ways."""
    yield ""
    case = textwrap.wrap(clean(result.case), WIDTH - 2)
    yield from case[:-1]
    is_full = any(row.ratio for row in result.rows)
    per_second = f"{result.unit}/s" if result.unit and is_full else ""
    heading = f"{per_second:>14}{'ratio':>9}{'memory':>10}{'of floor':>10}" if is_full else ""
    if case and len(case[-1]) <= _NAME:
        yield f"{case[-1]:{_NAME}}{'time':>11}{heading}"
    else:
        yield from case[-1:]
        yield f"{'':{_NAME}}{'time':>11}{heading}"
    for row in result.rows:
        yield from _row_lines(row)
    if result.floor_ms is not None:
        yield f"  {'floor':{_NAME - 2}}{time_text(result.floor_ms):>11}"
        yield from _notes(result.floor)


def time_text(ms: float) -> str:
    """Three digits, in the unit that fits."""
    if ms >= 10 * MS:
        return f"{ms / MS:.1f} s"
    if ms >= MS:
        return f"{ms / MS:.2f} s"
    return f"{_three_digits(ms)} ms" if ms >= 1 else f"{_three_digits(1000 * ms)} µs"


def memory_text(mib: float) -> str:
    """In MiB, or GiB from ten of them."""
    return f"{mib / 1024:.1f} GiB" if mib >= 10 * 1024 else f"{mib:,.0f} MiB"


def _row_lines(row: Row) -> Iterator[str]:
    name = f"  {clean(row.way)}"
    if row.ms is None:
        yield from textwrap.wrap(f"{name:{_NAME}}  {clean(row.note)}", WIDTH, subsequent_indent=" " * (_NAME + 2))
        return
    per_second = "" if row.per_second is None else f"{row.per_second:,.0f}"
    ratio = "" if row.ratio is None else f"{_three_digits(row.ratio)} ×"
    memory = "" if row.peak_mib is None else memory_text(row.peak_mib)
    share = "" if row.share_of_floor is None else f"{100 * row.share_of_floor:.0f} %"
    line = f"{name:{_NAME}}{time_text(row.ms):>11}{per_second:>14}{ratio:>9}{memory:>10}{share:>10}"
    yield line.rstrip()
    yield from _notes(row.note)
    if row.first_s is not None:
        yield from _notes(f"the first call took {row.first_s:.1f} s, with compiling")


def _notes(text: str) -> list[str]:
    return textwrap.wrap(clean(text), WIDTH, initial_indent="    ", subsequent_indent="    ")


def _three_digits(value: float) -> str:
    """Such as 0.123, 1.23, 12.3 and 123; whole numbers from there on."""
    return f"{value:,.0f}" if value >= 100 else f"{value:#.3g}".rstrip(".")


def _rate(per_s: float) -> str:
    """Such as "712 T" or "8.3 G"."""
    return f"{per_s / 1e12:.3g} T" if per_s >= 1e12 else f"{per_s / 1e9:.3g} G"
