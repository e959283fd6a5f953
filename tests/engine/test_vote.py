"""The vote: what refuses a step, and for how long."""

from __future__ import annotations

import math

import pytest
import torch

from jepa_core.engine.vote import OVERFLOWS_IN_A_ROW, SKIPPED_IN_A_ROW, Vote

CPU = torch.device("cpu")
ONE, NAN, INF = torch.tensor(1.0), torch.tensor(math.nan), torch.tensor(math.inf)


@pytest.mark.parametrize(("loss", "norm"), [(NAN, ONE), (ONE, NAN), (INF, ONE), (ONE, INF), (-INF, ONE)])
def test_under_stop_the_first_bad_step_refuses_all_that_follow(loss: torch.Tensor, norm: torch.Tensor) -> None:
    vote = Vote("stop", CPU)
    assert vote.cast(0, ONE, ONE, scaled=False)
    assert not vote.cast(1, loss, norm, scaled=False)
    assert not vote.cast(2, ONE, ONE, scaled=False)
    assert vote.bad_step == 1
    assert vote.skipped == 2


def test_under_skip_only_bad_steps_are_refused() -> None:
    vote = Vote("skip", CPU)
    assert not vote.cast(0, NAN, ONE, scaled=False)
    assert vote.cast(1, ONE, ONE, scaled=False)
    assert vote.bad_step == -1
    assert vote.skipped == 1


def test_an_overflow_of_scaled_gradients_is_skipped_and_forgotten() -> None:
    vote = Vote("stop", CPU)
    assert not vote.cast(0, ONE, INF, scaled=True)
    assert vote.cast(1, ONE, ONE, scaled=True)
    assert vote.bad_step == -1


@pytest.mark.parametrize("policy", ["stop", "skip"])
def test_overflows_without_end_stop_the_run(policy: str) -> None:
    vote = Vote(policy, CPU)  # type: ignore[arg-type]  # parametrized text
    for step in range(OVERFLOWS_IN_A_ROW):
        vote.cast(step, ONE, INF, scaled=True)
    assert vote.bad_step == OVERFLOWS_IN_A_ROW - 1


def test_a_restored_vote_remembers() -> None:
    vote, other = Vote("stop", CPU), Vote("stop", CPU)
    vote.cast(4, NAN, ONE, scaled=False)
    other.restore(vote.state())
    assert not other.cast(5, ONE, ONE, scaled=False)
    assert other.bad_step == 4


@pytest.mark.parametrize("scaled", [False, True])
def test_skipping_without_end_stops_the_run(scaled: bool) -> None:
    vote = Vote("skip", CPU)
    for step in range(SKIPPED_IN_A_ROW - 1):
        vote.cast(step, NAN, ONE, scaled=scaled)
    assert vote.bad_step == -1
    vote.cast(SKIPPED_IN_A_ROW - 1, NAN, ONE, scaled=scaled)
    assert vote.bad_step == SKIPPED_IN_A_ROW - 1
    assert not vote.cast(SKIPPED_IN_A_ROW, ONE, ONE, scaled=scaled)
    assert vote.refused(SKIPPED_IN_A_ROW - 1) == f"steps 1 to {SKIPPED_IN_A_ROW} were not finite"


def test_a_good_step_between_bad_ones_lets_skipping_go_on() -> None:
    vote = Vote("skip", CPU)
    for step in range(3 * SKIPPED_IN_A_ROW):
        vote.cast(step, ONE if step % SKIPPED_IN_A_ROW == 5 else NAN, ONE, scaled=False)
    assert vote.bad_step == -1


def test_a_run_at_its_end_that_has_skipped_every_step_is_given_up() -> None:
    vote = Vote("skip", CPU)
    for step in range(3):
        vote.cast(step, NAN, ONE, scaled=False)
    assert vote.given_up_at(3, is_last=False) == -1
    assert vote.given_up_at(3, is_last=True) == 2
    assert vote.given_up_at(4, is_last=True) == -1


def test_a_restored_vote_counts_on() -> None:
    vote, other = Vote("skip", CPU), Vote("skip", CPU)
    for step in range(SKIPPED_IN_A_ROW - 1):
        vote.cast(step, NAN, ONE, scaled=False)
    other.restore(vote.state())
    other.cast(SKIPPED_IN_A_ROW - 1, NAN, ONE, scaled=False)
    assert other.bad_step == SKIPPED_IN_A_ROW - 1
