from __future__ import annotations

import math
from typing import Any

import attrs
import numpy as np
import pytest

from jepa_monitor.feed.rank_rows import RankRows
from jepa_monitor.model.ranks import LAST_ROWS, LEAST_ROWS, SILENT_ROWS, Ranks, find_straggler, ranks_of
from tests.monitor.rank_files import rank_row


def times(num_ranks: int, num_rows: int = LAST_ROWS, *, noise: float = 0.02, seed: int = 0) -> dict[int, Any]:
    """Seconds per step of ranks that are equally fast."""
    drawn = np.exp(noise * np.random.default_rng(seed).standard_normal((num_ranks, num_rows)))
    return dict(enumerate(0.2 * drawn))


def recorded(rank: int, last: int = 200, **changes: float) -> RankRows:
    return RankRows(rank=rank, rows=tuple(rank_row(rank, step, **changes) for step in range(10, last + 1, 10)))


@pytest.mark.parametrize("num_ranks", [2, 4, 64])
def test_a_rank_that_is_slower_in_every_row_is_the_straggler(num_ranks: int) -> None:
    seconds = times(num_ranks)
    seconds[1] = seconds[1] * 1.14
    straggler = find_straggler(seconds)
    assert straggler is not None
    assert straggler.rank == 1
    assert straggler.slower == pytest.approx(0.14, abs=0.03)


@pytest.mark.parametrize("noise", [0.02, 0.1, 0.3])
@pytest.mark.parametrize("num_ranks", [2, 8, 64])
def test_among_ranks_that_differ_by_chance_none_is_named(num_ranks: int, noise: float) -> None:
    named = [find_straggler(times(num_ranks, noise=noise, seed=seed)) for seed in range(100)]
    assert sum(straggler is not None for straggler in named) <= 1


def test_a_few_slow_steps_name_nobody() -> None:
    seconds = times(4)
    seconds[2][-3:] *= 10
    assert find_straggler(seconds) is None


def test_what_all_ranks_suffer_together_hides_no_straggler_and_names_none() -> None:
    together = np.linspace(1, 5, LAST_ROWS)
    seconds = {rank: each * together for rank, each in times(4).items()}
    assert find_straggler(seconds) is None
    seconds[3] = seconds[3] * 1.2
    straggler = find_straggler(seconds)
    assert straggler is not None
    assert straggler.rank == 3


def test_a_straggler_takes_rows_and_someone_to_be_slower_than() -> None:
    seconds = {0: [0.2] * LEAST_ROWS, 1: [0.3] * LEAST_ROWS}
    assert find_straggler(seconds) is not None
    assert find_straggler({rank: each[1:] for rank, each in seconds.items()}) is None
    assert find_straggler({1: seconds[1]}) is None
    assert find_straggler({}) is None


def test_a_slowness_below_ten_percent_is_none_and_a_fast_rank_is_no_alarm() -> None:
    assert find_straggler({0: [1.0] * 20, 1: [1.0] * 20, 2: [1.09] * 20}) is None
    assert find_straggler({0: [1.0] * 20, 1: [1.0] * 20, 2: [0.5] * 20}) is None


def test_only_the_newest_rows_count() -> None:
    was_slow = [0.4] * 100 + [0.2] * LAST_ROWS
    assert find_straggler({0: [0.2] * len(was_slow), 1: was_slow}) is None


@pytest.mark.parametrize("bad", [math.nan, math.inf, 0.0, -1.0])
def test_rows_without_a_time_are_left_out(bad: float) -> None:
    seconds = {0: [0.2] * LEAST_ROWS, 1: [0.3] * LEAST_ROWS}
    seconds[0][2] = bad
    assert find_straggler(seconds) is None
    straggler = find_straggler({0: [*seconds[0], 0.2], 1: [*seconds[1], 0.3]})
    assert straggler is not None
    assert straggler.slower == pytest.approx(0.5)


def test_the_one_that_the_others_wait_for_is_slow_though_all_end_a_step_together() -> None:
    ranks = ranks_of([recorded(rank) for rank in range(4)])
    assert ranks.has_waits
    assert ranks.straggler is not None
    assert ranks.straggler.rank == 3
    assert {lane.wall for lane in ranks.lanes} == {0.201}
    assert ranks.lanes[3].busy == pytest.approx(0.199)


def test_waits_that_a_rank_does_not_record_are_not_taken_from_the_others() -> None:
    without_wait = recorded(0)
    rows = tuple({name: value for name, value in row.items() if name != "time.wait"} for row in without_wait.rows)
    ranks = ranks_of([attrs.evolve(without_wait, rows=rows), *map(recorded, (1, 2, 3))])
    assert not ranks.has_waits
    assert ranks.straggler is None
    assert ranks.lanes[3].busy == ranks.lanes[3].wall


def test_a_first_row_without_a_wait_is_no_reason_to_pass_over_the_others() -> None:
    first = {"step": 1, "time.step": 3.0}
    with_first = [attrs.evolve(each, rows=(first, *each.rows)) for each in map(recorded, range(4))]
    assert ranks_of(with_first).straggler == ranks_of([recorded(rank) for rank in range(4)]).straggler


def test_one_process_has_no_lanes() -> None:
    assert ranks_of([]) == ranks_of([recorded(0)]) == Ranks()


def test_a_rank_that_stays_behind_is_silent_for_as_long_as_the_others_went_on() -> None:
    behind = 200 - 10 * SILENT_ROWS
    assert ranks_of([recorded(0), recorded(1, behind)]).silent == ()
    ranks = ranks_of([recorded(0), recorded(1, behind - 10)])
    assert ranks.silent == (1,)
    assert ranks.lanes[1].silent_seconds == pytest.approx(60 * 0.201)
    assert ranks.step == 200


def test_a_rank_that_has_written_nothing_is_silent_once_the_others_have_rows() -> None:
    nothing = RankRows(rank=1, rows=())
    early, late = (ranks_of([recorded(0, last), nothing]) for last in (30, 200))
    assert (early.silent, late.silent) == ((), (1,))
    assert late.lanes[1].step is None


def test_a_silent_rank_is_no_straggler_and_stands_in_no_ones_way() -> None:
    ranks = ranks_of([*(recorded(rank) for rank in range(4)), recorded(4, 50)])
    assert ranks.silent == (4,)
    assert ranks.straggler is not None
    assert ranks.straggler.rank == 3
    assert ranks_of([recorded(0), recorded(1), recorded(3, 50)]).straggler is None


def test_the_losses_of_the_newest_common_row_are_compared() -> None:
    ranks = ranks_of([recorded(0), recorded(1), recorded(2, 190, loss__total=9.0)])
    assert ranks.losses is not None
    assert (ranks.losses.low.rank, ranks.losses.high.rank, ranks.losses.high.loss) == (0, 2, 9.0)
    assert ranks.losses.low.loss == rank_row(0, 190)["loss.total"]
    assert ranks.losses.apart == pytest.approx((9 - ranks.losses.low.loss) / ((9 + ranks.losses.low.loss) / 2))


def test_a_loss_that_is_not_finite_is_its_ranks_alone() -> None:
    ranks = ranks_of([recorded(0), recorded(1, loss__total=math.nan), recorded(2)])
    assert [lane.has_bad_loss for lane in ranks.lanes] == [False, True, False]
    assert ranks.losses is not None
    assert (ranks.losses.low.rank, ranks.losses.high.rank) == (0, 2)
    assert ranks_of([recorded(0), recorded(1, loss__total=math.inf)]).losses is None


@pytest.mark.parametrize("figure", [math.nan, math.inf, -math.inf, -1.0, 0.0, 1e308, 5e-324])
@pytest.mark.parametrize("name", ["step", "loss__total", "time__step", "time__data", "time__wait"])
def test_no_figure_breaks_anything(name: str, figure: float) -> None:
    step = {"step": max(figure, 0.0) if math.isfinite(figure) else 0.0}
    change = step if name == "step" else {name.replace("__", "."): figure}
    rows = tuple({**row, **change} for row in recorded(1).rows)
    ranks = ranks_of([recorded(0), RankRows(rank=1, rows=rows), RankRows(rank=3, rows=rows)])
    assert len(ranks.lanes) == 3
