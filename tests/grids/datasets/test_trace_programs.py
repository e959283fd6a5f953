"""Programs of traces: closed formulas against running them one step at a time, and scenes against drawing by hand."""

from __future__ import annotations

import attrs
import pytest
import torch
from torch import Tensor

from jepa_plugins.grids.datasets.trace_programs import (
    NUM_GROWTHS,
    NUM_MIRRORINGS,
    NUM_SHADES,
    NUM_TURNS,
    PROGRAM_CLASSES,
    Programs,
    Scenes,
    random_programs,
    random_scenes,
)
from jepa_plugins.grids.datasets.trace_scenes import draw, num_shapes, stamps

SIDE = 12
RINGS = {
    "rows": SIDE,
    "columns": SIDE,
    "shades": NUM_SHADES,
    "turns": NUM_TURNS,
    "mirrorings": NUM_MIRRORINGS,
    "growths": NUM_GROWTHS,
}


def examples(num: int = 200) -> tuple[Scenes, Programs]:
    generator = torch.Generator().manual_seed(0)
    return random_scenes(num, 3, SIDE, num_shapes(), generator), random_programs(num, 3, generator)


def one_object(**attributes: int) -> Scenes:
    """A scene of one object; attributes not named are 0."""
    names = [field.name for field in attrs.fields(Scenes)]
    return Scenes(**{name: torch.tensor([attributes.get(name, 0)]) for name in names})


def stepwise(scenes: Scenes, programs: Programs, number: int, last_index: int) -> dict[str, list[int]]:
    """Attributes of one scene after running its program step by step in plain Python."""
    program = PROGRAM_CLASSES[int(programs.classes[number])]
    state = {name: getattr(scenes, name)[number].tolist() for name in RINGS}
    for step in range(last_index):
        turn = [program.first, program.second][step % 2]
        doing = [turn] if program.in_turns else [program.first, program.second]
        for key, rates in programs.rates.items():
            operation, attribute = key.split(".")
            if operation in doing:
                rate = rates[number].expand(3).tolist()
                state[attribute] = [
                    (value + r) % RINGS[attribute] for value, r in zip(state[attribute], rate, strict=True)
                ]
    return state


@pytest.mark.parametrize("index", [0, 1, 2, 5])
def test_the_closed_formula_gives_what_running_step_by_step_gives(index: int) -> None:
    scenes, programs = examples()
    assert len(programs.classes.unique()) == len(PROGRAM_CLASSES)
    there = programs.run(scenes, torch.tensor([index]), SIDE)
    for number in range(len(programs.classes)):
        expected = stepwise(scenes, programs, number, index)
        assert {name: getattr(there, name)[number, 0].tolist() for name in RINGS} == expected


def test_programs_run_backwards_to_where_they_came_from() -> None:
    scenes, programs = examples()
    back = programs.run(scenes, torch.tensor([-4]), SIDE)
    earlier = Scenes(**{field.name: getattr(back, field.name)[:, 0] for field in attrs.fields(Scenes)})
    again = programs.run(earlier, torch.tensor([4]), SIDE)
    for name in RINGS:
        assert getattr(again, name)[:, 0].equal(getattr(scenes, name))


def test_class_names_are_distinct_and_say_how_operations_combine() -> None:
    names = [program.name for program in PROGRAM_CLASSES]
    assert len(set(names)) == len(names)
    assert {"move", "move with grow", "move then grow"} <= set(names)


def test_every_shape_looks_different_in_each_orientation_and_when_grown() -> None:
    orientations = stamps()[:-1, 0].flatten(1, 2)
    assert all(len(shape.unique(dim=0)) == 8 for shape in orientations)
    areas = stamps()[:-1].flatten(-2).sum(-1).flatten(2)
    assert (areas[:, 1:] > areas[:, :-1]).all()
    assert not stamps()[-1].any()


def cells(grid: Tensor) -> set[tuple[int, int]]:
    return {(row, column) for row, column in grid.nonzero().tolist()}


def test_an_object_is_drawn_around_its_centre_in_its_colour() -> None:
    grid = draw(one_object(rows=5, columns=6, shades=3), SIDE)
    expected = {(row + 3, column + 4) for row, column in cells(stamps()[0, 0, 0, 0])}
    assert cells(grid) == expected
    assert grid.unique().tolist() == [0, 4]


def test_objects_wrap_around_the_border() -> None:
    inner, border = (draw(one_object(rows=row, columns=row), SIDE) for row in (6, 0))
    assert border.equal(inner.roll((6, 6), (0, 1)))


def test_later_objects_cover_earlier_ones() -> None:
    covered, covering = one_object(rows=5, columns=5, shades=0, growths=2), one_object(rows=5, columns=5, shades=8)
    both = Scenes(
        **{
            field.name: torch.cat([getattr(covered, field.name), getattr(covering, field.name)])
            for field in attrs.fields(Scenes)
        }
    )
    grid = draw(both, SIDE)
    assert (grid == 9).equal(draw(covering, SIDE) == 9)
    assert (grid > 0).equal(draw(covered, SIDE) > 0)
