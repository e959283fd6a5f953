"""Numbers do not change unnoticed: a hundred steps beside those in a file, to the last bit on the same machine."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from tests.engine.stored_curve import STORED, curve, machine

DRIFT, ROUNDING = 1e-5, 1e-6
"""Between instruction sets of one processor figures were up to 7e-6 of themselves apart, where they are above 0.1, and
smaller ones up to 2e-8 in all."""


def figures(rows: list[dict[str, str]]) -> list[tuple[str, float]]:
    return [
        (f"{name} at step {float.fromhex(row['step']):g}", float.fromhex(row[name])) for row in rows for name in row
    ]


def far_apart(found: dict[str, Any], stored: dict[str, Any]) -> list[tuple[str, float, float]]:
    pairs = zip(figures(found["rows"]), figures(stored["rows"]), strict=True)
    return [
        (name, value, was)
        for (name, value), (_, was) in pairs
        if not math.isclose(value, was, rel_tol=DRIFT, abs_tol=ROUNDING)
    ]


def test_a_hundred_steps_are_those_of_the_stored_file(tmp_path: Path) -> None:
    stored, found = json.loads(STORED.read_text()), curve(tmp_path)
    assert found["steps"] == stored["steps"] == 100
    assert [row.keys() for row in found["rows"]] == [row.keys() for row in stored["rows"]]
    assert far_apart(found, stored) == []
    if machine() == stored["machine"]:
        assert found == stored
