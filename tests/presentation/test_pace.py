"""The pace of a run: seconds a step and time left, from the newest steps or parts of them."""

from __future__ import annotations

import pytest

from jepa_core.presentation.pace import MOST_MOMENTS, Pace, step_time_text


class Clock:
    """Tells what it is set to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def paced(*noted: tuple[float, float], done: float = 0, total: float = 100) -> Pace:
    """After steps were noted, each with the seconds since the start."""
    pace = Pace(done, total, clock := Clock())
    for seconds, steps in noted:
        clock.now = 1000 + seconds
        pace.note(steps)
    return pace


def test_before_anything_is_done_there_is_no_pace_and_the_time_is_told() -> None:
    pace = Pace(5, 100, clock := Clock())
    clock.now += 12
    assert (pace.seconds_per_step, pace.seconds_left, pace.is_settled) == (None, None, False)
    assert pace.describe() == "first step, 12 s"


def test_a_first_step_that_takes_long_no_longer_counts_once_there_are_others() -> None:
    assert paced((60, 1)).seconds_per_step == 60
    pace = paced((60, 1), (62, 2), (64, 3))
    assert (pace.seconds_per_step, pace.seconds_left) == (2, 194)
    assert pace.describe() == "2.0 s a step, 3 min 14 s left"


def test_a_first_step_that_is_compiled_says_nothing_of_others() -> None:
    pace = Pace(0, 100, clock := Clock(), is_first_usual=False)
    clock.now += 50
    pace.note(0.5)
    assert pace.describe() == "first step, 50 s"
    clock.now += 7
    pace.note(1)
    assert pace.describe() == "first step, 57 s"
    for step in range(2, 5):
        clock.now += 2
        pace.note(step)
    assert pace.describe() == "2.0 s a step, 3 min 12 s left"


def test_parts_of_a_step_count() -> None:
    assert paced((20, 0.25), (40, 0.5)).seconds_per_step == pytest.approx(80)


def test_steps_of_an_earlier_process_are_no_sign_of_this_ones_pace() -> None:
    assert paced((3, 51), done=50).seconds_per_step == 3


def test_old_steps_are_forgotten() -> None:
    slow = [(10.0 * step, float(step)) for step in range(1, 50)]
    fast = [(490 + 2.0 * step, 49.0 + step) for step in range(1, MOST_MOMENTS + 2)]
    assert paced(*slow, *fast).seconds_per_step == pytest.approx(2)


def test_many_steps_in_a_second_are_all_counted_and_few_moments_kept() -> None:
    pace = paced(*((0.01 * step, float(step)) for step in range(1, 3001)))
    assert pace.seconds_per_step == pytest.approx(0.01, rel=0.01)
    assert len(pace._moments) < 40


def test_it_is_settled_after_ten_seconds_of_steps_that_are_not_the_first() -> None:
    assert not paced((60, 1)).is_settled
    assert not paced((60, 1), (69, 2)).is_settled
    assert paced((60, 1), (70, 2)).is_settled


@pytest.mark.parametrize(("seconds", "text"), [(0.0123, "12 ms"), (1.234, "1.2 s"), (75.2, "1 min 15 s")])
def test_the_time_of_a_step_is_told_in_its_unit(seconds: float, text: str) -> None:
    assert step_time_text(seconds) == text
