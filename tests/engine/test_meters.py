"""Figures between two rows: means over steps and micro-batches, and no loss of them in a checkpoint."""

from __future__ import annotations

import math
from typing import cast

import attrs
import pytest
import torch
from torch import Tensor

from jepa_core.contracts import Crew
from jepa_core.engine.checkpoint import join_tree, split_tree
from jepa_core.engine.meters import Meters, together

CPU = torch.device("cpu")


def add(meters: Meters, *losses: float, norm: float = 0.0) -> None:
    """One step of a micro-batch a loss."""
    meters.add(*together([{"loss": torch.tensor(loss)} for loss in losses], {"norm": torch.tensor(norm)}))


def test_a_row_holds_means_over_steps_and_micro_batches() -> None:
    meters = Meters(CPU)
    add(meters, 1.0, 3.0, norm=4.0)
    add(meters, 6.0, 10.0, norm=8.0)
    assert meters.steps == 2
    assert meters.take() == {"loss": 5.0, "norm": 6.0}


def test_each_row_starts_anew_and_keeps_what_was_noted_last() -> None:
    meters = Meters(CPU)
    add(meters, 1.0)
    meters.note({"lr": 0.1})
    meters.take()
    add(meters, 3.0)
    meters.note({"lr": 0.2})
    assert meters.take() == {"loss": 3.0, "norm": 0.0, "lr": 0.2}
    assert meters.take() == {"lr": 0.2}


def test_where_tensors_start_anew_the_next_row_says_so_and_is_of_steps_since_then() -> None:
    meters = Meters(CPU)
    add(meters, 1.0)
    meters.begin_anew(0)
    assert meters.steps == 1
    meters.begin_anew(18)
    add(meters, 5.0)
    assert meters.take() == {"loss": 5.0, "norm": 0.0, "anew": 18}
    add(meters, 4.0)
    assert "anew" not in meters.take()


def test_times_are_seconds_a_step() -> None:
    meters = Meters(CPU)
    for seconds in (0.5, 0.25):
        meters.note_time("time.data", seconds)
        meters.note_time("time.data", seconds)
        add(meters, 1.0)
    assert meters.take()["time.data"] == 0.75


def test_one_bad_step_shows_in_the_row() -> None:
    meters = Meters(CPU)
    add(meters, 1.0)
    add(meters, math.nan)
    assert math.isnan(meters.take()["loss"])


def test_what_is_not_finite_in_an_excused_step_does_not_count() -> None:
    meters = Meters(CPU)
    for loss, norm, excused in ((1.0, 4.0, False), (3.0, math.inf, True), (5.0, 8.0, True)):
        figures = together([{"loss": torch.tensor(loss)}], {"norm": torch.tensor(norm)}, torch.tensor(excused))
        meters.add(*figures)
    assert meters.take() == {"loss": 3.0, "norm": 6.0}
    meters.add(*together([{"loss": torch.tensor(2.0)}], {"norm": torch.tensor(math.inf)}, torch.tensor(True)))
    assert meters.take() == {"loss": 2.0}


def test_a_checkpoint_without_counts_is_of_steps_that_all_counted() -> None:
    meters, resumed = Meters(CPU), Meters(CPU)
    add(meters, 1.0)
    add(meters, 3.0)
    resumed.restore(meters.state() | {"sums": meters.state()["sums"][0]})
    add(resumed, 8.0)
    assert resumed.take()["loss"] == 4.0


def test_other_figures_than_before_do_not_mix_with_them() -> None:
    meters = Meters(CPU)
    add(meters, 1.0)
    meters.add(*together([{"other": torch.tensor(5.0)}], {"norm": torch.tensor(1.0)}))
    assert meters.take() == {"other": 5.0, "norm": 1.0}


def test_a_run_resumed_between_two_rows_writes_the_same_row() -> None:
    straight, resumed = Meters(CPU), Meters(CPU)
    add(straight, 1.0, 2.0, norm=3.0)
    resumed.restore(join_tree(*split_tree(straight.state())))
    for meters in (straight, resumed):
        add(meters, 7.0, 8.0, norm=9.0)
        meters.note({"lr": 0.5})
    assert resumed.steps == straight.steps == 2
    assert resumed.take() == straight.take() == pytest.approx({"loss": 4.5, "norm": 6.0, "lr": 0.5})


def test_times_are_of_the_steps_that_this_process_took() -> None:
    before, resumed = Meters(CPU), Meters(CPU)
    for _ in range(9):
        before.note_time("time.data", 0.5)
        add(before, 1.0)
    resumed.restore(join_tree(*split_tree(before.state())))
    resumed.note_time("time.data", 0.5)
    add(resumed, 1.0)
    assert (resumed.steps, resumed.timed_steps) == (10, 1)
    assert resumed.take()["time.data"] == 0.5
    add(resumed, 1.0)
    assert (resumed.steps, resumed.timed_steps) == (1, 1)


def test_rows_are_counted_over_a_resume() -> None:
    before, resumed = Meters(CPU), Meters(CPU)
    for _ in range(3):
        add(before, 1.0)
        before.take()
    resumed.restore(join_tree(*split_tree(before.state())))
    resumed.take()
    assert resumed.rows == 4


@attrs.frozen
class Ranks:
    size: int

    def mean(self, value: Tensor) -> Tensor:
        return value


def test_each_ranks_own_rows_are_counted_from_when_there_was_that_rank() -> None:
    meters, resumed = Meters(CPU), Meters(CPU)
    for size, counts in ((1, []), (2, [1, 1]), (2, [2, 2]), (3, [3, 3, 1]), (2, [4, 4])):
        add(meters, 1.0)
        meters.take(cast(Crew, Ranks(size)))
        assert meters.rank_rows == counts
    state = join_tree(*split_tree(meters.state()))
    resumed.restore(state)
    assert resumed.rank_rows == [4, 4]
    add(meters, 1.0)
    meters.take()
    assert meters.rank_rows == [], "one process has no file of its own beside the run's"
    resumed.restore(meters.state())
    assert resumed.rank_rows == []
