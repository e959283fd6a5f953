from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jepa_core.figures import change_text, difference_text, figure_text, limit_text, value_beside_limit


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.412, "", "0.412"),
        (5.2139, "", "5.21"),
        (12.43, "", "12.4"),
        (30.0, "", "30"),
        (64120.3, "", "64,120"),
        (0.141, "%", "14.1 %"),
        (0.00002, "", "2e−5"),
        (0.0005, "", "5e−4"),
        (0.000521, "", "5.21e−4"),
        (0.00521, "", "0.0052"),
        (0.0521, "", "0.052"),
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
    ("of", "text"),
    [
        ("val.retrieval.above_null_low", "0.006"),
        ("val.retrieval.above_null_low > 0", "0.006"),
        ("val.hard.mrr > val.hard.null_mrr", "0.006"),
        ("val.retrieval.null.motion.mrr", "0.006"),
        ("grad.norm", "0.0058"),
        ("val.retrieval.mrr > lr", "0.006"),
        ("loss.mrr_like > 0", "0.0058"),
        ("", "0.0058"),
    ],
)
def test_reciprocal_ranks_have_three_decimals_wherever_they_stand(of: str, text: str) -> None:
    assert figure_text(0.0058, of=of) == value_beside_limit(0.0058, 0, of=of) == text


@pytest.mark.parametrize(
    ("value", "limit", "shown"),
    [
        (0.627, 0.551783, "0.627 > 0.552"),
        (0.2931, 0.293494, "0.293 > 0.2935"),
        (0.2926, 0.2934, "0.293 > 0.2934"),
        (0.5, 0.5, "0.500 > 0.5"),
        (0.6, 0.3, "0.600 > 0.3"),
        (0.00001, 0.0, "1e−5 > 0"),
    ],
)
def test_a_computed_limit_of_ranks_is_as_short_as_the_value_beside_it(value: float, limit: float, shown: str) -> None:
    rule = "val.hard.mrr > val.hard.null_mrr"
    written = limit_text(">", limit, of=rule, value=value)
    assert f"{value_beside_limit(value, limit, of=rule)} {written}" == shown


def test_the_end_of_an_interval_is_told_from_zero() -> None:
    assert difference_text(0.0234, 0.0058, 0.0412) == "+0.023 [0.006, 0.041]"
    assert difference_text(-0.11, -0.192, -0.0002) == "−0.110 [−0.192, −2e−4]"
    assert difference_text(0.0, 0.0, 0.0) == "0.000 [0.000, 0.000]"


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


UNITS = st.sampled_from(["", "%", "GiB", "samples/s"])
FIGURES = st.floats(-1e300, 1e300)


def read(text: str, unit: str) -> float:
    """The number of a text that must end with the unit."""
    assert text.endswith(f" {unit}" if unit else text)
    number = text.removesuffix(f" {unit}") if unit else text
    return float(number.replace(",", "").replace("−", "-")) / (100 if unit == "%" else 1)


@given(FIGURES, UNITS)
def test_a_figure_never_loses_its_sign_its_unit_or_its_size(value: float, unit: str) -> None:
    text = figure_text(value, unit)
    assert len(text) < 30
    assert "-" not in text
    assert math.copysign(1, read(text, unit)) == (math.copysign(1, value) if value else 1)
    assert bool(read(text, unit)) is bool(value)
    assert read(text, unit) == pytest.approx(value, rel=1.0 if unit == "%" else 0.06)  # 0.06 % is told as 0.1 %


@given(st.one_of(st.floats(1e-6, 1e6), st.floats(-1e6, -1e-6)), UNITS)
def test_a_figure_is_right_to_its_last_digit(value: float, unit: str) -> None:
    scale = 100 if unit == "%" else 1
    size = abs(value) * scale
    bounds = {1000: 1, 10: 0.1, 1: 0.01, 0.01: 0.001, 0.001: 0.0001}
    step = 0.1 if unit == "%" else next((step for bound, step in bounds.items() if size >= bound), 1e-5)
    step = min(step, 10 ** (math.floor(math.log10(size)) - 2)) if size < step / 2 else step
    assert abs(read(figure_text(value, unit), unit) - value) * scale <= 0.501 * step


@given(FIGURES, st.sampled_from([">", "≥", "<", "≤"]))
@example(limit=0.0006, operator=">")
def test_a_limit_reads_as_its_operator_and_its_number(limit: float, operator: str) -> None:
    sign, number = limit_text(operator, limit).split(" ")
    assert sign == operator
    assert read(number, "") == pytest.approx(limit, rel=0.006, abs=1e-4 if abs(limit) >= 1e-3 else 0.0)


@given(st.floats(-1e6, 1e6), st.integers(-(10**6), 10**6), st.sampled_from(["", "%"]))
def test_a_value_beside_a_limit_reads_as_equal_only_if_it_is_or_six_decimals_do_not_tell(
    value: float, thousandths: int, unit: str
) -> None:
    limit = thousandths / 1000
    is_same = read(value_beside_limit(value, limit, unit), unit) == pytest.approx(limit, rel=1e-9, abs=1e-12)
    assert not is_same or value == pytest.approx(limit, abs=1e-6, rel=1e-8)
    assert is_same or value != limit


@given(FIGURES)
def test_a_change_has_its_sign_and_some_digit_however_small_or_large_it_is(change: float) -> None:
    text = change_text(change)
    assert text[0] == ("−" if change < 0 else "+")
    assert len(text) < 30
    assert bool(read(text.removeprefix("+"), "%")) is bool(change)
    assert read(text.removeprefix("+"), "%") == pytest.approx(change, rel=1.0)


@pytest.mark.parametrize(("change", "text"), [(-1e-7, "−1e−5 %"), (1e9, "+1e11 %"), (0.0, "+0 %"), (math.nan, "")])
def test_changes_that_percents_are_no_scale_for(change: float, text: str) -> None:
    assert change_text(change) == text


def test_zero_has_no_sign() -> None:
    assert (figure_text(-0.0), limit_text("<", -0.0), change_text(-0.0)) == ("0", "< 0", "+0 %")
