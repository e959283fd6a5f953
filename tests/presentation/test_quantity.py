from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jepa_core.presentation.quantity import count_text, duration_text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (9.13, "9.1 s"),
        (75.2, "1 min 15 s"),
        (3599.9, "1 h 0 min"),
        (9000, "2 h 30 min"),
        (116_535, "32 h 22 min"),
        (200_000, "2 d 7 h"),
        (1e11, "3,169 years"),
    ],
)
def test_a_duration_has_the_two_units_that_matter(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0, "0.0 s"), (59.94, "59.9 s"), (59.96, "1 min 0 s"), (172_800, "2 d 0 h")]
)
def test_a_duration_is_never_sixty_seconds_nor_forty_eight_hours(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@given(st.floats(0, 1e7))
def test_a_duration_is_right_to_its_smaller_unit(seconds: float) -> None:
    units = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
    words = duration_text(seconds).split()
    pairs = list(zip(words[::2], words[1::2], strict=True))
    told = sum(float(number) * units[unit] for number, unit in pairs)
    assert abs(told - seconds) <= units[pairs[-1][1]] + 0.5
    assert all(float(number) < {"s": 60, "min": 60, "h": 48, "d": math.inf}[unit] for number, unit in pairs)


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0"), (999_999, "999,999"), (1_000_000, "1.0 M"), (4_170_000, "4.2 M"), (12_345, "12,345")]
)
def test_counts_are_in_millions_from_a_million_on(count: int, text: str) -> None:
    assert count_text(count) == text
