"""The converter converts nothing but whole numbers for number fields, and undoes itself."""

from __future__ import annotations

import math
from typing import Any

import cattrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jepa_core.recipes.strict_converter import RefusedError, strict_converter
from tests.recipes.small_registry import CellsConfig, Shift

SHIFTS = st.builds(Shift, by=st.integers(0, 9), wrap=st.booleans())
CELLS = st.builds(
    CellsConfig,
    width=st.integers(1, 99),
    levels=st.lists(st.integers(2, 9)).map(tuple),
    corner=st.tuples(st.integers(-9, 9), st.floats(allow_nan=False, allow_infinity=False)),
    shifts=st.lists(SHIFTS, max_size=3),
    limit=st.integers(0, 9) | st.just("auto"),
    start=st.sampled_from(["data", "random"]),
    names=st.dictionaries(st.text(max_size=4), st.floats(-9, 9), max_size=3),
)


@given(CELLS)
@settings(max_examples=100, deadline=None)
def test_a_configuration_survives_becoming_plain_data(config: CellsConfig) -> None:
    plain = strict_converter().unstructure(config)
    assert strict_converter().structure(plain, CellsConfig) == config


ANYTHING = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.lists(st.integers())


@given(ANYTHING)
@settings(max_examples=200, deadline=None)
def test_each_type_takes_its_own_values_and_refuses_all_others(value: Any) -> None:
    small = abs(value) < 2**63 if type(value) is int else True
    accepted = {
        int: type(value) is int and small,
        float: (type(value) is int and small) or (type(value) is float and math.isfinite(value)),
        str: type(value) is str,
        bool: type(value) is bool,
    }
    for kind, expected in accepted.items():
        if expected:
            structured: Any = strict_converter().structure(value, kind)
            # A whole number beyond 2^53 is the nearest float.
            assert (type(structured), structured) == (kind, kind(value))
        else:
            with pytest.raises(RefusedError):
                strict_converter().structure(value, kind)


def test_unknown_keys_are_refused_at_every_depth() -> None:
    for table in ({"widht": 3}, {"shifts": [{"by": 1, "x": 2}]}):
        with pytest.raises(cattrs.ClassValidationError):
            strict_converter().structure(table, CellsConfig)
