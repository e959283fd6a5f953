"""Traces: what makes order matter, and that neither copying nor counting cells gets by."""

from __future__ import annotations

import time

import pytest
import torch
from torch import Tensor

from jepa_core.contracts import SequenceDataset
from jepa_core.facts import DatasetFacts
from jepa_plugins.grids.datasets.trace_programs import PROGRAM_CLASSES, random_programs, random_scenes
from jepa_plugins.grids.datasets.trace_scenes import draw, num_shapes
from jepa_plugins.grids.datasets.traces import TracesConfig
from jepa_plugins.grids.nulls.equal_cells import EqualCellsConfig
from tests.grids.nulls.ranking import retrieval_of

FACTS = DatasetFacts(seed=0)


def all_grids(dataset: SequenceDataset) -> tuple[Tensor, Tensor]:
    """Grids and tasks of both splits, sorted by task."""
    tasks = torch.cat([dataset.train.tasks, dataset.validation.tasks])
    order = tasks.argsort(stable=True)
    return torch.cat([dataset.train.observations["grid"], dataset.validation.observations["grid"]])[order], tasks[order]


@pytest.fixture(scope="module")
def traces() -> SequenceDataset:
    return TracesConfig(num_sequences=1200, validation_share=0.1).build(FACTS)


def test_the_six_orders_of_three_grids_continue_in_six_ways(traces: SequenceDataset) -> None:
    grids, tasks = all_grids(traces)
    assert tasks.equal(torch.arange(200).repeat_interleave(6))
    for family in grids.unflatten(0, (200, 6)):
        assert len(family[:, :3].flatten(0, 1).unique(dim=0)) == 3
        assert len(family[:, :3].unique(dim=0)) == 6
        assert len(family[:, 3].unique(dim=0)) == 6


def test_targets_are_what_the_program_gives_when_the_last_stride_is_repeated() -> None:
    config = TracesConfig(num_sequences=1200)
    grids, _ = all_grids(config.build(FACTS))
    # The same draws, run by hand over a longer stretch of the programs.
    generator = torch.Generator().manual_seed(config.seed)
    scenes = random_scenes(2048, config.max_objects, config.side, num_shapes(), generator)
    programs = random_programs(2048, config.max_objects, generator)
    orbits = draw(programs.run(scenes, torch.arange(-2, 5), config.side), config.side)
    distinct = torch.tensor([len(orbit.unique(dim=0)) == 7 for orbit in orbits])
    for family, orbit in zip(grids.unflatten(0, (200, 6)), orbits[distinct], strict=False):
        place = (family[:, :, None] == orbit).flatten(3).all(-1).int()
        assert (place.sum(-1) == 1).all()
        index = place.argmax(-1) - 2
        assert index[:, :3].sort(dim=1).values.equal(torch.arange(3).expand(6, 3))
        assert index[:, 3].equal(2 * index[:, 2] - index[:, 1])


@pytest.mark.parametrize("context_length", [2, 3, 4, 6])
def test_context_grids_differ_and_no_target_repeats_the_last_of_them(context_length: int) -> None:
    dataset = TracesConfig(num_sequences=240, context_length=context_length, side=8).build(FACTS)
    grids, tasks = all_grids(dataset)
    assert grids.shape == (240, context_length + 1, 8, 8)
    for sequence in grids:
        assert len(sequence[:-1].unique(dim=0)) == context_length
        assert not sequence[-1].equal(sequence[-2])
    for task in tasks.unique():
        targets = grids[tasks == task, -1]
        assert len(targets.unique(dim=0)) == len(targets)


def test_tasks_do_not_cross_the_split_and_rules_are_their_programs(traces: SequenceDataset) -> None:
    assert len(traces.validation) == 120
    assert not set(traces.train.tasks.tolist()) & set(traces.validation.tasks.tolist())
    for part in (traces.train, traces.validation):
        rules = [PROGRAM_CLASSES[rule].name for rule in part.labels["rule"].tolist()]
        assert [traces.task_names[task].partition(": ")[2] for task in part.tasks.tolist()] == rules


def test_a_seed_fixes_the_data_and_the_runs_seed_does_not_matter(traces: SequenceDataset) -> None:
    config = TracesConfig(num_sequences=1200, validation_share=0.1)
    assert config.build(DatasetFacts(seed=9)).fingerprint == traces.fingerprint
    other = TracesConfig(num_sequences=1200, validation_share=0.1, seed=1)
    assert other.build(FACTS).fingerprint != traces.fingerprint


def test_generating_leaves_the_global_random_state_alone() -> None:
    before = torch.get_rng_state()
    TracesConfig(num_sequences=60).build(FACTS)
    assert torch.get_rng_state().equal(before)


def test_50000_sequences_take_seconds_and_counting_cells_finds_few_targets() -> None:
    started = time.process_time()
    dataset = TracesConfig().build(FACTS)
    assert time.process_time() - started < 10
    assert len(dataset.train) + len(dataset.validation) == 50_000
    assert len(dataset.train.labels["rule"].unique()) == len(PROGRAM_CLASSES)
    baseline = retrieval_of(dataset, EqualCellsConfig())
    # A method that cannot tell the six orders of a task apart is right in one of six.
    assert 0.1 < baseline.mrr < 0.41
    assert baseline.top1 < 1 / 6
