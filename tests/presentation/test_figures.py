from __future__ import annotations

import math

import pytest

from jepa_core.presentation.figures import change_text, figure_text, limit_text, value_beside_limit


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.412, "", "0.412"),
        (5.2139, "", "5.21"),
        (12.43, "", "12.4"),
        (30.0, "", "30"),
        (64120.3, "", "64,120"),
        (0.141, "%", "14.1 %"),
        (0.00002, "", "2.00e−05"),
        (-0.5, "", "−0.500"),
        (0.0, "", "0"),
        (math.nan, "", "nan"),
        (-math.inf, "%", "−inf %"),
        (1.5, "GiB", "1.50 GiB"),
    ],
)
def test_figures_show_the_digits_that_carry_information(value: float, unit: str, text: str) -> None:
    assert figure_text(value, unit) == text


@pytest.mark.parametrize(
    ("operator", "limit", "unit", "text"),
    [
        (">", 0.1, "%", "> 10 %"),
        (">", 5.0, "", "> 5"),
        ("<", 0.371, "", "< 0.371"),
        ("≥", 30, "", "≥ 30"),
        ("<", 0, "", "< 0"),
    ],
)
def test_limits_show_no_digits_that_say_nothing(operator: str, limit: float, unit: str, text: str) -> None:
    assert limit_text(operator, limit, unit) == text


def test_a_value_is_told_from_a_limit_that_it_only_just_misses() -> None:
    assert value_beside_limit(0.0998, 0.1, "%") == "9.98 %"
    assert value_beside_limit(0.09999, 0.1, "%") == "9.999 %"
    assert value_beside_limit(0.1, 0.1, "%") == "10.0 %"
    assert value_beside_limit(4.9999, 5) == "4.9999"
    assert value_beside_limit(0.15, None) == "0.150"


@pytest.mark.parametrize(
    ("change", "text"), [(0.41, "+41 %"), (-0.01, "−1 %"), (-0.0021, "−0.2 %"), (12.3, "+1,230 %"), (math.inf, "")]
)
def test_changes_have_a_sign(change: float, text: str) -> None:
    assert change_text(change) == text


def test_a_unit_and_an_operator_from_a_run_directory_bring_no_control_characters() -> None:
    hostile = "\x1b]52;c;x\x07\u202e" * 20
    for text in (figure_text(1.5, hostile), limit_text(hostile, 1.5, hostile), value_beside_limit(1.5, 1.5, hostile)):
        assert text.isprintable()
        assert len(text) < 60
