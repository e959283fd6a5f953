"""The full grid: one cell for every combination of the factors' values. Knows no recipe and no file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import product

import attrs

from jepa_core.ablation.variation import Variation

_MOST_IN_NAME = 40
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9]+")


@attrs.frozen
class Cell:
    """One combination of values."""

    number: int
    """From 1; the first has every factor at its reference."""
    values: tuple[str, ...]
    """One per factor, in the factors' order."""

    @property
    def name(self) -> str:
        """Fit for files, such as `c2-attention-0_02`."""
        words = (_NOT_IN_A_NAME.sub("_", value).strip("_") for value in self.values)
        return f"c{self.number}-{'-'.join(filter(None, words))}"[:_MOST_IN_NAME].rstrip("-_")

    def run_name(self, seed: int) -> str:
        """Of the cell's run under this seed; a recipe's name, so it begins the run directory's."""
        return f"{self.name}-s{seed}"

    def without(self, factor: int) -> tuple[str, ...]:
        """The values of all other factors: cells that agree in them differ in this one alone."""
        return self.values[:factor] + self.values[factor + 1 :]


def cells_of(variations: Sequence[Variation]) -> tuple[Cell, ...]:
    """All cells; the last factor changes fastest."""
    combinations = product(*(variation.values for variation in variations))
    return tuple(Cell(number, values) for number, values in enumerate(combinations, start=1))


def settings_of(variations: Sequence[Variation], cell: Cell) -> tuple[str, ...]:
    """The cell's values as `KEY=VALUE`."""
    return tuple(f"{variation.key}={value}" for variation, value in zip(variations, cell.values, strict=True))


def cell_label(variations: Sequence[Variation], cell: Cell) -> str:
    """For people: values alone where there is one factor, such as `attention`; else with the last part of each key."""
    if len(variations) == 1:
        return cell.values[0]
    names = [short_key(variation.key, variations) for variation in variations]
    return " ".join(f"{name}={value}" for name, value in zip(names, cell.values, strict=True))


def short_key(key: str, variations: Sequence[Variation]) -> str:
    """The shortest ending of a key that no other factor shares, at least two parts where there are."""
    parts = key.split(".")
    for length in range(min(2, len(parts)), len(parts)):
        ending = ".".join(parts[-length:])
        if not any(f".{other.key}".endswith(f".{ending}") for other in variations if other.key != key):
            return ending
    return key
