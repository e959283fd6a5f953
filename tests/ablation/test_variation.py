from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jepa_core.ablation.variation import Variation, parse_variations, split_values
from jepa_core.recipes.faults import RecipeFaultsError


def test_a_flag_is_a_key_and_its_values_in_order() -> None:
    flags = ["aggregator.kind=mean,attention", "losses.relational.weight = 0.02, 0.025"]
    assert parse_variations(flags) == (
        Variation("aggregator.kind", ("mean", "attention")),
        Variation("losses.relational.weight", ("0.02", "0.025")),
    )


def test_commas_within_brackets_and_quotes_do_not_part_values() -> None:
    assert split_values('[8,5,5], {a = 1, b = [2, 3]}, "a,b"') == ["[8,5,5]", "{a = 1, b = [2, 3]}", '"a,b"']


@given(st.lists(st.text(alphabet="ab01.-_", min_size=1), min_size=1, max_size=5))
@settings(max_examples=50, deadline=None)
def test_values_without_commas_come_back_as_they_were(values: list[str]) -> None:
    assert split_values(",".join(values)) == values


@given(st.text(max_size=30))
@settings(max_examples=100, deadline=None)
def test_any_text_is_read_or_refused_with_words(text: str) -> None:
    try:
        (variation,) = parse_variations([text])
    except RecipeFaultsError as error:
        refused = error
    else:
        assert len(variation.values) > 1
        return
    assert len(refused.faults) == 1


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("aggregator.kind", "a value is missing"),
        ("aggregator.kind=mean,", "a value is missing"),
        ("aggregator.kind=mean", "one value is no variation: give two or more, or --set aggregator.kind=mean"),
        ("aggregator.kind=mean,last,mean", "the value mean is given 2 times"),
        ("=mean,last", "expected KEY=VALUE,VALUE with a dotted key"),
        ("aggregator kind=mean,last", "expected KEY=VALUE,VALUE with a dotted key"),
        ("train.seed=1,2", "train.seed cannot be varied: seeds are varied by --seeds"),
        ("name=a,b", "name cannot be varied"),
        ("data.kind=arc,traces", "data.kind is fixed by --set as well"),
    ],
)
def test_a_flag_that_cannot_be_meant_is_refused_where_it_stands(flag: str, words: str) -> None:
    with pytest.raises(RecipeFaultsError) as refused:
        parse_variations([flag], overrides=["data.kind=arc"])
    (fault,) = refused.value.faults
    assert fault.where == f"--vary {flag}"
    assert words in fault.message


def test_all_flags_at_fault_are_told_together() -> None:
    with pytest.raises(RecipeFaultsError) as refused:
        parse_variations(["a.b=1", "c.d=1,2", "c.d=3,4"])
    assert [fault.key for fault in refused.value.faults] == ["a.b", "c.d"]
    assert "varied twice" in refused.value.faults[1].message
