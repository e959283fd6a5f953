from __future__ import annotations

import math
import random
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jepa_core.watch.baseline import BaselineValues, EpochSeries
from jepa_core.watch.closures import Scene
from jepa_core.watch.history import History
from jepa_core.watch.language import MAX_LENGTH, Rule, RuleError, parse_rule

ESCAPES = [
    "__import__('os').system('true') > 1",
    "().__class__.__bases__[0] > 1",
    "open('/etc/passwd') > 1",
    "eval('1') > a",
    "exec('1') > a",
    "a.__class__ > 1",
    "a.b.__globals__ > 1",
    "getattr(a, 'b') > 1",
    "(lambda: 1)() > a",
    "[x for x in a] > 1",
    "{1: 2} > a",
    "f'{a}' > 1",
    "a if b else c",
    "a[0] > 1",
    "(a := 1) > 0",
    "a ** 999999 > 1",
    "9 ** 9 ** 9 > a",
    "a << 9 > 1",
    "a % 2 > 1",
    "a // 2 > 1",
    "~a > 1",
    "a @ b > 1",
    "a is b",
    "a in b",
    "a; b",
    "a > 1\\\n",
    "a > 'text'",
    "a > None",
    "a > True",
    "a > 1j",
    "a > ...",
    "await a > 1",
    "yield a",
    "*a > 1",
    "mean(*a, 3) > 1",
    "mean(a, n=3) > 1",
    "mean(mean(a, 2), 2) > 1",
    "mean(a, 2.0) > 1",
    "mean(a, True) > 1",
    "mean(a, 1001) > 1",
    "median(a) > 1",
    "median(a, 3, 998) > 1",
    "median(a, 3, -1) > 1",
    "spread(a, 3) > 1",
    "quantile(a, 1.1, 5) > 1",
    "quantile(a, 5) > 1",
    "lowest(a) > 1",
    "lowest(a, 3, 1) > 1",
    "mean(epochs, 3) > a",
    "first(epochs) < epoch",
    "epochs > 3",
    "slope(a, 1) > 1",
    "fired(a)",
    "fired('')",
    "fired(b'A')",
    "min(baseline.a) > 1",
    "baseline > 1",
    "ﬁnite(a)",
    "a > 1 # comment",
    "a\0 > 1",
    "1e999 > a",
]


def history_of(*rows: dict[str, float], better: dict[str, str] | None = None) -> History:
    names = {name for row in rows for name in row} | {"a", "b", "loss.total", "missing"}
    history = History(names, better)  # type: ignore[arg-type]  # directions as plain text
    for row in rows:
        history.observe(row)
    return history


def value_of(text: str, history: History, baseline: BaselineValues | None = None) -> float | None:
    """The number that `text` stands for, read off the rule `text > 0`."""
    reading = parse_rule(f"{text} > 0").reading(Scene(history, baseline, set()))
    assert reading is not None
    return reading.value


@pytest.mark.parametrize("text", ESCAPES)
def test_what_is_not_the_language_is_refused(text: str) -> None:
    with pytest.raises(RuleError):
        parse_rule(text)


@pytest.mark.parametrize(
    "text", ["", "   ", "1 > 0", "a", "a + 1", "not a", "a and b > 1", "1 + (a > 1) > 2", "baseline.a > 1"]
)
def test_a_rule_is_a_condition_on_at_least_one_metric_of_the_run(text: str) -> None:
    with pytest.raises(RuleError):
        parse_rule(text)


def parsed(text: str) -> Rule | RuleError:
    try:
        return parse_rule(text)
    except RuleError as error:
        return error


@settings(max_examples=400, deadline=1000)
@given(st.text(max_size=300))
def test_any_text_is_a_rule_or_a_rule_error(text: str) -> None:
    result = parsed(text)
    if isinstance(result, RuleError):
        assert 0 <= result.start <= result.end <= len(text)


WORDS = (
    "a loss.total 1 0.5 + - * / < > == and or not ( ) , finite mean slope min median spread lowest epochs fired 'A' "
    "baseline. best 3 . if lambda _"
)


@settings(max_examples=600, deadline=None)
@given(st.lists(st.sampled_from(WORDS.split()), max_size=40))
def test_texts_of_the_languages_own_words_are_a_rule_or_a_rule_error_and_rules_evaluate(words: list[str]) -> None:
    result = parsed(" ".join(words))
    history = history_of({"epoch": 1, "a": 1.0, "loss.total": math.nan}, {"epoch": 2, "a": 0.0})
    assert isinstance(result, RuleError) or result.evaluate(history) in (True, False, None)


@pytest.mark.slow
def test_a_million_texts_open_and_run_nothing() -> None:
    seen, watching = set[str](), False

    def note(event: str, _arguments: object) -> None:
        if watching:
            seen.add(event)

    sys.addaudithook(note)
    draw = random.Random(0)
    words = [*WORDS.split(), "__import__('os')", "open", ".__class__", "[", "]", "{", "}", "eval", "é", "**", ":="]
    parsed("a > 1")
    for _ in range(1_000_000):
        text = draw.choice(("", " ")).join(draw.choices(words, k=draw.randint(1, 12)))
        watching = True
        result = parsed(text)
        if isinstance(result, Rule):
            result.evaluate(history_of({"a": 1.0}))
        watching = False
    assert seen <= {"compile"}


@pytest.mark.parametrize(
    "text", ["-" * 250 + "a>1", "not " * 60 + "a>1", "(" * 120 + "a>1" + ")" * 120, "9" * 250 + ">a"]
)
def test_deep_and_long_texts_are_bounded(text: str) -> None:
    assert len(text) <= MAX_LENGTH
    result = parsed(text)
    assert isinstance(result, RuleError) or result.evaluate(history_of({"a": 2.0})) in (True, False)


def test_a_rule_of_more_than_1000_characters_is_refused() -> None:
    with pytest.raises(RuleError, match="at most 1000"):
        parse_rule("a > " + "1" * 997)


def test_an_error_says_what_is_wrong_where_and_what_is_allowed() -> None:
    with pytest.raises(RuleError) as caught:
        parse_rule("vq.usage > open('x')")
    error = caught.value
    assert error.text[error.start : error.end] == "open('x')"
    assert "'open'" in error.problem
    assert "mean(name, n[, m])" in error.allowed
    assert "column 12" in str(error)


def test_the_place_of_an_error_counts_leading_blanks() -> None:
    with pytest.raises(RuleError) as caught:
        parse_rule("   a > None")
    assert caught.value.text[caught.value.start : caught.value.end] == "None"


def test_names_are_collected_by_what_they_are_used_for() -> None:
    rule = parse_rule("best(val.retrieval.mrr) < 0.8 * baseline.val.retrieval.mrr or fired('A') or finite(loss.total)")
    assert rule.names == {"val.retrieval.mrr", "loss.total"}
    assert rule.baseline_names == {"val.retrieval.mrr"}
    assert rule.directed_names == {"val.retrieval.mrr"}
    assert rule.fired_ids == {"A"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a > 1", True),
        ("a < 1", False),
        ("1 < a < 3", True),
        ("1 < a < 2", False),
        ("a + 1 == 3", True),
        ("a - 3 == -1", True),
        ("a * 2 / 4 != 1", False),
        ("+a >= 2", True),
        ("not a <= 2", False),
        ("not not a <= 2", True),
        ("not (a > 1 and a > 3)", True),
        ("not (a > 1 or a > 3)", False),
        ("not 1 < a < 2", True),
        ("not finite(a)", False),
        ("not (finite(a) and not fired('A'))", False),
        ("a > 1 and a > 3", False),
        ("a > 1 or a > 3", True),
        ("a > 1 and (a > 3 or a == 2)", True),
    ],
)
def test_arithmetic_comparisons_and_logic_mean_what_they_do_in_python(text: str, expected: bool) -> None:
    assert parse_rule(text).evaluate(history_of({"a": 2.0})) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("missing > 1", None),
        ("not missing > 1", None),
        ("missing > 1 and a > 3", False),
        ("missing > 1 and a > 1", None),
        ("missing > 1 or a > 1", True),
        ("missing > 1 or a > 3", None),
        ("a / (a - 2) > 1", None),
        ("mean(a, 2) > 1", None),
        ("finite(missing)", None),
        ("a > baseline.a", None),
        ("best(a) > 1", None),
    ],
)
def test_what_is_not_known_stays_unknown_unless_the_rest_decides(text: str, expected: bool | None) -> None:
    assert parse_rule(text).evaluate(history_of({"a": 2.0})) is expected


@pytest.mark.parametrize(
    "text",
    [
        *("a > 0", "a < 0", "a == 0", "a != 0", "a >= a", "0 < a < 1", "finite(a)", "mean(a, 1) > 0"),
        *("not a > 0", "not a < 0", "not 0 < a < 1", "not (a < 9 or a < 8)", "not (a < 9 and not a > 9)"),
        *("min(a) > 0", "not max(a) < 9", "not mean(a, 1) < 9", "not (finite(a) or a < 9)", "a - a == 0"),
    ],
)
def test_not_a_number_compares_false_with_everything(text: str) -> None:
    assert parse_rule(text).evaluate(history_of({"a": math.nan})) is False


def test_infinity_is_above_every_threshold_and_not_finite() -> None:
    history = history_of({"a": math.inf})
    assert parse_rule("a > 1e300").evaluate(history) is True
    assert parse_rule("not finite(a)").evaluate(history) is True


def test_functions_look_back_over_the_runs_values() -> None:
    rows = [{"epoch": float(epoch), "a": value} for epoch, value in enumerate([3.0, 1.0, math.nan, 5.0, 4.0])]
    history = history_of(*rows, better={"a": "lower"})
    expected = {
        "first(a)": 3,
        "last(a)": 4,
        "min(a)": 1,
        "max(a)": 5,
        "best(a)": 1,
        "mean(a, 2)": 4.5,
        "min(a, 2)": 4,
        "max(a, 1)": 4,
        "slope(a, 2)": -1,
        "min(a, 2, 3)": 1,
        "max(a, 2, 1)": 5,
        "mean(a, 2, 3)": 2,
        "median(a, 2)": 4.5,
        "median(a, 3, 2)": 2,
        "quantile(a, 1, 2)": 5,
        "quantile(a, 0.25, 2, 3)": 1.5,
        "lowest(a, 2)": 1,
        "highest(a, 2)": 5,
    }
    assert {text: value_of(text, history) for text in expected} == expected


def test_a_window_that_reaches_back_beyond_the_first_value_is_unknown() -> None:
    history = history_of(*({"a": float(value)} for value in range(5)))
    assert value_of("median(a, 3, 2)", history) == 1
    assert value_of("median(a, 3, 3)", history) is None
    assert value_of("spread(a, 4, 2)", history) is None


def test_the_spread_of_normal_noise_is_its_standard_deviation_whatever_a_tenth_of_the_values_do() -> None:
    draw = np.random.default_rng(0)
    values = 5 + 0.3 * draw.standard_normal(400)
    values[::10] = 1e6
    history = history_of(*({"a": value} for value in values))
    assert value_of("spread(a, 400)", history) == pytest.approx(0.3, rel=0.2)
    assert value_of("median(a, 400)", history) == pytest.approx(5, abs=0.1)


def test_epochs_is_how_many_the_run_has_and_unknown_where_that_is_not_known() -> None:
    rule = parse_rule("epoch >= epochs - 0.1")
    assert rule.names == {"epoch"}
    assert rule.concerns({"epoch": 4})
    for epochs, expected in ((30, True), (31, False), (None, None)):
        history = History(rule.names, epochs=epochs)
        history.observe({"epoch": 29.95})
        assert rule.evaluate(history) is expected
    reading = rule.reading(Scene(History(rule.names, epochs=30), None, set()))
    assert reading is not None
    assert (reading.operator, reading.limit) == ("≥", 29.9)


def test_what_was_usual_before_is_no_part_of_where_a_sign_began() -> None:
    rule = parse_rule("median(a, 3) > 2 * median(a, 10, 3) + lowest(a, 8)")
    history = history_of(*({"step": float(step), "a": 1.0} for step in range(1, 21)))
    assert rule.looks_back_to(Scene(history, None, set())) == 18


def test_best_follows_the_declared_direction() -> None:
    rows = [{"a": value} for value in (2.0, 7.0, 3.0)]
    assert value_of("best(a)", history_of(*rows, better={"a": "higher"})) == 7
    assert value_of("best(a)", history_of(*rows, better={"a": "lower"})) == 2


def test_slope_is_that_of_the_least_squares_line_per_epoch() -> None:
    epochs, values = [0.5, 1.0, 2.5, 3.0, 7.0], [1.0, 4.0, 2.0, 8.0, 5.0]
    history = history_of(*({"epoch": e, "a": v} for e, v in zip(epochs, values, strict=True)))
    slope = value_of("slope(a, 5)", history)
    assert slope == pytest.approx(np.polyfit(epochs, values, 1)[0])


def test_slope_within_one_instant_is_unknown() -> None:
    assert value_of("slope(a, 2)", history_of({"epoch": 1, "a": 1.0}, {"epoch": 1, "a": 2.0})) is None


def test_the_baseline_is_asked_at_the_runs_epoch_and_its_figure_stands_in() -> None:
    series = {"a": EpochSeries(epochs=(1.0, 2.0), values=(10.0, 20.0))}
    baseline = BaselineValues(name="other", series=series, figures={"a": 7.0, "b": 3.0})
    at = {
        epoch: value_of("a + baseline.a", history_of({"epoch": epoch, "a": 0.0}), baseline)
        for epoch in (0.5, 1.0, 1.9, 2.0, 99.0)
    }
    assert at == {0.5: 7.0, 1.0: 10.0, 1.9: 10.0, 2.0: 20.0, 99.0: 20.0}
    assert value_of("a + baseline.b", history_of({"epoch": 1, "a": 0.0}), baseline) == 3


def test_fired_asks_which_rules_have_fired() -> None:
    rule = parse_rule("fired('A') and fired('B')")
    assert rule.evaluate(history_of(), None, {"A", "B"}) is True
    assert rule.evaluate(history_of(), None, {"A"}) is False


def test_a_rule_concerns_rows_with_one_of_its_names_and_clocks_count_only_alone() -> None:
    assert parse_rule("a > 1 and b > 1").concerns({"b": 0})
    assert not parse_rule("a > 1 and epoch > 3").concerns({"epoch": 4})
    assert parse_rule("epoch >= 30").concerns({"epoch": 4})


def test_a_first_value_calls_for_no_evaluation_beside_another_name() -> None:
    rule = parse_rule("a < first(b) and step >= 200")
    assert rule.concerns({"a": 0})
    assert not rule.concerns({"b": 0, "step": 300})
    assert parse_rule("b > 0.9 * first(b)").concerns({"b": 0})
    assert parse_rule("first(b) > 1 and step > 3").concerns({"b": 0})


def test_a_single_comparison_reads_with_the_runs_value_on_the_left() -> None:
    scene = Scene(history_of({"vq.usage": 0.2}), None, set())
    reading = parse_rule("0.1 < mean(vq.usage, 1)").reading(scene)
    assert reading is not None
    assert (reading.value, reading.operator, reading.limit, reading.metric) == (0.2, ">", 0.1, "vq.usage")
    assert parse_rule("vq.usage > 0.1 and vq.usage < 1").reading(scene) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a < 3 and step >= 200", 2.0),
        ("step >= 200 and epoch > 1 and a < 3", 2.0),
        ("a < 3 and a > 1", None),
        ("a < 3 or step >= 200", None),
        ("a < 3 and fired('A')", None),
        ("step >= 200", 250.0),
        ("step >= 200 and epoch > 1", None),
    ],
)
def test_what_only_says_when_to_judge_is_no_part_of_a_reading(text: str, value: float | None) -> None:
    rows: dict[str, float] = {"step": 250, "epoch": 2, "a": 2.0}
    reading = parse_rule(text).reading(Scene(history_of(rows), None, set()))
    assert (None if reading is None else reading.value) == value


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("a < 3 and step >= 200", 200),
        ("step > 200", 201),
        ("step >= 50 and (a < 3 and step >= 70)", 70),
        ("a < 3 or step >= 200", 0),
        ("not (a < 3 and step >= 200)", 0),
        ("a < 3 and step < 200", 0),
        ("a < 3", 0),
    ],
)
def test_the_step_before_which_a_rule_never_holds(text: str, step: int) -> None:
    assert parse_rule(text).least_step == step
