"""What a state must look like: the first misfit is named with its place, and what fits is let pass."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from jepa_core.engine.expected_state import misfit, number, tensor_like, texts, whole

VECTOR = torch.zeros(3)
EXPECTED = {
    "weights": {"w": VECTOR, "codes": torch.zeros(2, dtype=torch.int64)},
    "step": whole(0, 9),
    "share": number(0, 1),
    "names": texts,
    "roles": ["a", "b"],
    "flag": True,
    "nothing": None,
}


def a_state(**other: Any) -> dict[str, Any]:
    weights = {"w": torch.ones(3), "codes": torch.ones(2, dtype=torch.int64)}
    plain = {"step": 3, "share": 0.5, "names": ["x", "y"], "roles": ["c", "d"], "flag": False, "nothing": None}
    return {"weights": weights, **plain, **other}


def weights(**other: Any) -> dict[str, Any]:
    return {"weights": a_state()["weights"] | other}


def test_what_fits_has_no_misfit() -> None:
    assert misfit(a_state(), EXPECTED) == ""
    assert misfit(a_state(step=0, share=1), EXPECTED) == ""
    assert misfit(weights(w=torch.full((3,), math.inf))["weights"], EXPECTED["weights"]) == ""


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (weights(w=torch.zeros(4)), "weights/w is a tensor of (4,) float32 instead of a tensor of (3,) float32"),
        (weights(w=torch.zeros(3).half()), "weights/w is a tensor of (3,) float16"),
        (weights(w=torch.zeros(())), "weights/w is a tensor of () float32"),
        (weights(w=[0.0, 0.0, 0.0]), "weights/w is a list of 3 instead of a tensor"),
        (weights(w=torch.tensor([0.0, math.nan, 0.0])), "weights/w holds NaN"),
        (weights(more=1), "of the names in weights 1 unknown, first 'weights/more'"),
        ({"weights": 5}, "weights is 5 instead of an object"),
        ({"step": -1}, "step is -1 instead of a whole number from 0 to 9"),
        ({"step": True}, "step is True instead of a whole number"),
        ({"step": 3.0}, "step is 3.0 instead of a whole number"),
        ({"share": math.nan}, "share is nan instead of a number from 0 to 1"),
        ({"share": "1"}, "share is '1' instead of a number"),
        ({"share": None}, "share is None instead of a number"),
        ({"names": "xy"}, "names is 'xy' instead of a list of texts"),
        ({"names": ["x", "x"]}, "names has one text twice"),
        ({"names": [torch.zeros(1)]}, "names is a list of 1 instead of a list of texts"),
        ({"roles": ["c"]}, "roles is a list of 1 instead of a list of 2"),
        ({"roles": ["c", 1]}, "roles/1 is 1 instead of 'b'"),
        ({"flag": 1}, "flag is 1 instead of True"),
        ({"nothing": 0}, "nothing is 0 instead of None"),
        ({"\x1b[2J": 0}, "of the names in it 1 unknown, first '␛[2J'"),
    ],
)
def test_the_first_misfit_is_named_with_its_place(other: dict[str, Any], said: str) -> None:
    assert misfit(a_state(**other), EXPECTED).startswith(said)


@pytest.mark.parametrize("name", EXPECTED)
def test_what_is_missing_is_named(name: str) -> None:
    state = a_state()
    del state[name]
    assert misfit(state, EXPECTED) == f"of the names in it 1 missing, first '{name}'"


@pytest.mark.parametrize("value", [-1.0, math.inf, -math.inf, math.nan])
def test_the_numbers_of_a_tensor_can_have_limits(value: float) -> None:
    check = tensor_like(VECTOR, least=0)
    assert check(torch.tensor([0.0, 1.0, 2.0])) == ""
    assert check(torch.tensor([0.0, value, 2.0])).startswith("holds ")


def test_numbers_of_eight_bits_are_looked_at_too() -> None:
    expected = torch.zeros(2, dtype=torch.float8_e5m2)
    assert misfit(expected.clone(), expected) == ""
    assert misfit(torch.tensor([0.0, math.nan]).to(torch.float8_e5m2), expected) == "the state holds NaN"
