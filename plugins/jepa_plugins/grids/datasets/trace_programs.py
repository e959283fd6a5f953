"""Programs over a scene of objects: what each does to the objects' attributes at its k-th step.

A program is one long operation, alone or with a second one, either both at every step ("with") or one at a time
("then"). Attributes lie on rings (a torus of positions, nine colours, four turns, …), so a program runs forwards and
backwards without end: the scene at any index k is a closed formula, here over whole batches at once. Knows attributes,
not pixels (`trace_scenes`) and not in which order frames are shown (`traces`).

Shapes: F programs, K objects in a scene, I indices.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Literal

import attrs
import torch
from torch import Tensor

NUM_SHADES = 9
NUM_TURNS = 4
NUM_MIRRORINGS = 2
NUM_GROWTHS = 3

Operation = Literal["move", "spread", "drop", "recolour", "rotate", "mirror", "grow"]

LONG_OPERATIONS: tuple[Operation, ...] = ("move", "spread", "drop", "recolour")
"""Operations on large rings: they come back to where they were only after many steps."""
SHORT_OPERATIONS: tuple[Operation, ...] = ("rotate", "mirror", "grow")


@attrs.frozen
class ProgramClass:
    """Which operations, and how they combine."""

    first: Operation
    second: Operation | None
    in_turns: bool
    """The two alternate, first before second; otherwise both happen at every step."""

    @property
    def name(self) -> str:
        """Such as "move", "move with grow" or "move then grow"."""
        if self.second is None:
            return self.first
        return f"{self.first} {'then' if self.in_turns else 'with'} {self.second}"


def _program_classes() -> tuple[ProgramClass, ...]:
    pairs = [
        *combinations(LONG_OPERATIONS, 2),
        *((long, short) for long in LONG_OPERATIONS for short in SHORT_OPERATIONS),
    ]
    alone = [ProgramClass(operation, None, False) for operation in LONG_OPERATIONS]
    return (*alone, *(ProgramClass(first, second, turns) for first, second in pairs for turns in (False, True)))


PROGRAM_CLASSES = _program_classes()


@attrs.frozen(kw_only=True)
class Scenes:
    """Attributes of objects, (F, K) or (F, I, K) int64 each."""

    rows: Tensor
    """Centre of the object, on a ring as long as the grid's side; likewise `columns`."""
    columns: Tensor
    shades: Tensor
    """Colour less one, on a ring of nine."""
    patterns: Tensor
    """Which shape; no program changes it. One more than the shapes there are: no object."""
    turns: Tensor
    """Quarter turns."""
    mirrorings: Tensor
    growths: Tensor
    """How far the shape has grown around itself."""


def random_scenes(num: int, num_objects: int, side: int, num_patterns: int, generator: torch.Generator) -> Scenes:
    """F random scenes of 2 to K objects that have not grown. Where there are fewer, the first have no shape."""

    def draw(below: int) -> Tensor:
        return torch.randint(below, (num, num_objects), generator=generator)

    num_absent = torch.randint(num_objects - 1, (num, 1), generator=generator)
    absent = torch.arange(num_objects) < num_absent
    return Scenes(
        rows=draw(side),
        columns=draw(side),
        shades=draw(NUM_SHADES),
        patterns=draw(num_patterns).masked_fill(absent, num_patterns),
        turns=draw(NUM_TURNS),
        mirrorings=draw(NUM_MIRRORINGS),
        growths=torch.zeros(num, num_objects, dtype=torch.int64),
    )


@attrs.frozen(kw_only=True)
class Programs:
    """F programs."""

    classes: Tensor
    """(F,) int64: index into `PROGRAM_CLASSES`."""
    rates: Mapping[str, Tensor]
    """Attribute of `Scenes` → operation's change of it per step; keys are "operation.attribute", values (F, K)."""

    def run(self, scenes: Scenes, indices: Tensor, side: int) -> Scenes:
        """The scenes at indices (I,) of their programs: attributes (F, I, K). Index 0 is the scene as given."""
        state = {field.name: getattr(scenes, field.name)[:, None] for field in attrs.fields(Scenes)}
        for key, rate in self.rates.items():
            operation, attribute = key.split(".")
            done = self._times_done(operation, indices)[:, :, None]
            state[attribute] = state[attribute] + rate[:, None] * done
        rings = {"rows": side, "columns": side, "shades": NUM_SHADES, "turns": NUM_TURNS, "mirrorings": NUM_MIRRORINGS}
        rings["growths"] = NUM_GROWTHS
        shape = (*self.classes.shape, *indices.shape, scenes.rows.shape[1])
        return Scenes(
            **{name: (value % rings[name] if name in rings else value).expand(shape) for name, value in state.items()}
        )

    def _times_done(self, operation: str, indices: Tensor) -> Tensor:
        """(F, I): how often the operation has been done at each index; negative before index 0."""
        every = torch.tensor([operation in (c.first, c.second) and not c.in_turns for c in PROGRAM_CLASSES])
        even = torch.tensor([operation == c.first and c.in_turns for c in PROGRAM_CLASSES])
        odd = torch.tensor([operation == c.second and c.in_turns for c in PROGRAM_CLASSES])
        counts = ((every, indices), (even, (indices + 1) // 2), (odd, indices // 2))
        return sum(
            (chosen[self.classes][:, None] * count for chosen, count in counts), torch.zeros((), dtype=torch.int64)
        )


def random_programs(num: int, num_objects: int, generator: torch.Generator) -> Programs:
    """F random programs for scenes of K objects; the last object is the one that is never covered by another."""

    def draw(values: list[int]) -> Tensor:
        """(F, 1): the same for all objects of a scene."""
        return torch.tensor(values)[torch.randint(len(values), (num, 1), generator=generator)]

    def directions(columns: int) -> Tensor:
        """(F, columns, 2): one of the eight directions each."""
        around = torch.tensor([(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)])
        return around[torch.randint(len(around), (num, columns), generator=generator)]

    together, apart = directions(1), directions(num_objects)
    falls = (torch.arange(num_objects) == num_objects - 1).long().expand(num, -1)
    return Programs(
        classes=torch.randint(len(PROGRAM_CLASSES), (num,), generator=generator),
        rates={
            "move.rows": together[..., 0],
            "move.columns": together[..., 1],
            "spread.rows": apart[..., 0],
            "spread.columns": apart[..., 1],
            "drop.rows": falls,
            "recolour.shades": draw([-4, -2, -1, 1, 2, 4]),
            "rotate.turns": draw([-1, 1]),
            "mirror.mirrorings": torch.ones(num, 1, dtype=torch.int64),
            "grow.growths": draw([-1, 1]),
        },
    )
