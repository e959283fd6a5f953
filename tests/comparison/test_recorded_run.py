"""Reading a run directory for a comparison: whole, with files missing, and with lines that say nothing."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import attrs
import pytest

from jepa_core.comparison.recorded_run import RecordedRun, read_run
from jepa_core.run_directory.reading import RunReader
from tests.comparison.recorded import recorded

RECIPE = 'name = "mine"\n\n[train]\nseed = 7\n'
CANDIDATES = "val.retrieval.candidates"


def read(
    folder: Path, *, recipe: str | None = RECIPE, rows: tuple[Any, ...] = (), environment: str = ""
) -> RecordedRun:
    """The run of a folder with these files."""
    run = folder / "mine-20261128-120000"
    run.mkdir()
    (run / "metrics.jsonl").write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
    if recipe is not None:
        (run / "recipe.toml").write_text(recipe)
    if environment:
        (run / "environment.json").write_text(environment)
    return read_run(RunReader(run))


def by_step(run: RecordedRun) -> dict[str, dict[float, float]]:
    return {
        name: dict(zip(series.steps.tolist(), series.values.tolist(), strict=True))
        for name, series in run.series.items()
    }


def test_rows_become_series_in_the_order_of_their_steps_whatever_the_order_of_lines(tmp_path: Path) -> None:
    run = read(tmp_path, rows=({"step": 4, "a": 2.5}, {"step": 2, "a": 1.5, "b": "nan"}, {"step": 4, "b": "-inf"}))
    assert by_step(run)["a"] == {2: 1.5, 4: 2.5}
    assert list(by_step(run)["a"]) == [2, 4]
    assert math.isnan(by_step(run)["b"][2])
    assert (run.final("a"), run.final("b"), run.final("c"), run.last_step) == (2.5, -math.inf, None, 4)


@pytest.mark.parametrize("row", [{"a": 1.0}, {"step": 1.5, "a": 1.0}, {"step": "inf", "a": 1.0}, "{damaged", "[1]"])
def test_rows_that_say_no_step_are_left_out(tmp_path: Path, row: Any) -> None:
    run = read(tmp_path, rows=(row, {"step": 3, "a": 2.0}))
    assert by_step(run) == {"a": {3: 2.0}}


def test_a_later_row_of_a_step_replaces_the_figures_that_it_has(tmp_path: Path) -> None:
    run = read(tmp_path, rows=({"step": 3, "a": 1.0, "b": 1.0}, {"step": 3, "a": 2.0}))
    assert by_step(run) == {"a": {3: 2.0}, "b": {3: 1.0}}


@pytest.mark.parametrize(
    ("recipe", "name", "seed"),
    [
        (RECIPE, "mine", 7),
        (None, "mine-20261128-120000", None),
        ("name = [damaged", "mine-20261128-120000", None),
        ('name = "mine"\ntrain = 3\n', "mine", None),
        ('name = "mine"\n[train]\nseed = "7"\n', "mine", None),
    ],
)
def test_without_a_readable_recipe_a_run_goes_by_its_folder_and_has_no_seed(
    tmp_path: Path, recipe: str | None, name: str, seed: int | None
) -> None:
    run = read(tmp_path, recipe=recipe, rows=({"step": 1, "a": 1.0},))
    assert (run.recipe_name, run.seed, by_step(run)) == (name, seed, {"a": {1: 1.0}})


@pytest.mark.parametrize(
    ("environment", "data"), [('{"data_fingerprint": "ab"}', "ab"), ("", ""), ("{damaged", ""), ("[]", "")]
)
def test_what_the_environment_does_not_say_of_the_data_is_not_known(
    tmp_path: Path, environment: str, data: str
) -> None:
    assert read(tmp_path, environment=environment).data == data


def test_a_run_before_its_first_row_has_no_last_step(tmp_path: Path) -> None:
    run = read(tmp_path)
    assert (run.last_step, run.candidates, dict(run.series)) == (None, None, {})


@pytest.mark.parametrize(
    ("data", "candidates", "same"),
    [
        (("d", "d"), (9.0, 9.0), True),
        (("d", "d"), (None, 9.0), True),
        (("d", "e"), (9.0, 9.0), False),
        (("d", "d"), (9.0, 8.0), False),
        (("", "d"), (9.0, 8.0), False),
        (("", "d"), (9.0, 9.0), None),
        (("", ""), (None, None), None),
    ],
)
def test_data_is_the_same_only_where_both_say_so_and_the_answer_does_not_depend_on_who_asks(
    data: tuple[str, str], candidates: tuple[float | None, float | None], same: bool | None
) -> None:
    left, right = (
        attrs.evolve(recorded("r", {} if count is None else {CANDIDATES: {1: count}}), data=one)
        for one, count in zip(data, candidates, strict=True)
    )
    assert left.same_data(right) is same
    assert right.same_data(left) is same
