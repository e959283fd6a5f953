"""Splitting by task, and fingerprints."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jepa_core.contracts import Observations, Sequences
from jepa_core.errors import DataError
from jepa_core.task_split import TaskSplit, fingerprint


def split(num_tasks: int, share: float = 0.25, seed: int = 13) -> tuple[Sequences, Sequences]:
    """Three sequences of each task, told apart by their label."""
    tasks = torch.arange(num_tasks).repeat(3)
    grids = torch.arange(len(tasks), dtype=torch.uint8)[:, None, None, None].expand(-1, 2, 4, 4) % 10
    sizes = torch.full((len(tasks), 2, 2), 4)
    labels = {"number": torch.arange(len(tasks))}
    observations = Observations({"grid": grids, "size": sizes})
    return TaskSplit(share=share, seed=seed).apply(observations, tasks=tasks, labels=labels)


@given(st.integers(2, 40), st.floats(0.01, 0.99), st.integers(0, 5))
@settings(max_examples=50, deadline=None)
def test_no_task_is_on_both_sides_and_no_sequence_is_lost(num_tasks: int, share: float, seed: int) -> None:
    train, validation = split(num_tasks, share, seed)
    assert not set(train.tasks.tolist()) & set(validation.tasks.tolist())
    assert len(set(validation.tasks.tolist())) == min(max(round(num_tasks * share), 1), num_tasks - 1)
    numbers = torch.cat([train.labels["number"], validation.labels["number"]])
    assert sorted(numbers.tolist()) == list(range(3 * num_tasks))


def test_labels_and_tasks_stay_with_their_grids() -> None:
    for part in split(20):
        assert part.observations["grid"][:, 0, 0, 0].equal((part.labels["number"] % 10).to(torch.uint8))
        assert part.tasks.equal(part.labels["number"] % 20)


def test_the_seed_decides_which_tasks_validate() -> None:
    first, again, other = (split(20, seed=seed)[1].tasks for seed in (1, 1, 2))
    assert first.equal(again)
    assert not first.equal(other)


def test_a_single_task_cannot_be_split() -> None:
    with pytest.raises(DataError, match="at least 2 are needed"):
        split(1)


def test_fingerprints_are_equal_exactly_for_equal_data_and_split() -> None:
    assert fingerprint(*split(8)) == fingerprint(*split(8))
    assert len({fingerprint(*split(8)), fingerprint(*split(9)), fingerprint(*split(8, seed=1))}) == 3
    train, validation = split(8)
    validation.observations["size"][0, 0, 0] = 3
    assert fingerprint(train, validation) != fingerprint(*split(8))
