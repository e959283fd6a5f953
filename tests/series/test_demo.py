"""Generated recordings: cut as said, no copies of their context, and continued by what the context says."""

from __future__ import annotations

import math
from typing import Any

import attrs
import pytest
import torch

from jepa_core.contracts import SequenceDataset
from jepa_core.dataset_checks import check_dataset
from jepa_core.engine.nulls import training_sample
from jepa_core.engine.retrieval import CandidateList, figures_of
from jepa_core.facts import DatasetFacts, NullFacts
from jepa_plugins.series.demo import KINDS, SeriesDemoConfig
from jepa_plugins.series.nulls import ContinuedConfig
from jepa_plugins.series.space import SeriesSpace
from jepa_plugins.vectors.nulls import LastValuesConfig

FACTS = DatasetFacts(seed=0)


@pytest.fixture(scope="module")
def demo() -> SequenceDataset:
    return SeriesDemoConfig().build(FACTS)


def mrr(dataset: SequenceDataset, config: Any) -> float:
    null = config.build(NullFacts(space=dataset.space, roles=dataset.places()))
    null.fit(training_sample(dataset, torch.device("cpu")))
    candidates = CandidateList(dataset.space, dataset.validation.observations)
    return figures_of(candidates.ranks(null.scores(candidates.context, candidates.candidates))).mrr


def test_sequences_are_consecutive_windows_of_their_recording() -> None:
    config = SeriesDemoConfig(num_recordings=12, windows=6, length=8, channels=3, context_length=2)
    dataset = config.build(FACTS)
    check_dataset(dataset, SeriesSpace)
    assert dataset.space == SeriesSpace(length=8, channels=3)
    assert len(dataset.train) + len(dataset.validation) == 12 * 4
    for split in (dataset.train, dataset.validation):
        values = split.observations["values"]
        assert values.shape[1:] == (3, 8, 3)
        for task in split.tasks.unique():
            own = values[split.tasks == task]
            assert own[1:, :-1].equal(own[:-1, 1:])


def test_the_label_is_the_kind_in_the_tasks_name(demo: SequenceDataset) -> None:
    for split in (demo.train, demo.validation):
        assert split.labels["kind"].unique().tolist() == list(range(len(KINDS)))
        for task, kind in zip(split.tasks.tolist(), split.labels["kind"].tolist(), strict=True):
            assert demo.task_names[task].endswith(f": {list(KINDS)[kind]}")


def test_copying_does_not_find_the_target_and_continuing_is_better(demo: SequenceDataset) -> None:
    chance = sum(1 / rank for rank in range(1, 501)) / 500
    copied, continued = mrr(demo, LastValuesConfig()), mrr(demo, ContinuedConfig())
    assert chance < copied < 0.2
    assert continued > copied + 0.1


def test_oscillations_move_on_from_window_to_window() -> None:
    dataset = SeriesDemoConfig(num_recordings=300, noise=0.0).build(FACTS)
    values = dataset.train.observations["values"]
    kinds = dataset.train.labels["kind"]
    distance = (values[:, -1] - values[:, -2]).square().mean((1, 2))
    size = values.flatten(2).var(2).mean(1)
    for kind in ("sines", "sawtooth", "coupled"):
        assert (distance / size)[kinds == list(KINDS).index(kind)].min() > 0.05, kind


def test_an_undamped_mixture_of_two_sines_continues_linearly() -> None:
    # Two sines are a recurrence of order four: without noise the last steps of the context say what follows.
    dataset = SeriesDemoConfig(num_recordings=60, noise=0.0, channels=1).build(FACTS)
    kinds = dataset.train.labels["kind"]
    rows = (kinds == list(KINDS).index("sines")).nonzero().squeeze(1)[:5]
    for series in dataset.train.observations["values"][rows].double().flatten(1, 2).squeeze(2):
        steps = series.unfold(0, 5, 1)
        weights = torch.linalg.lstsq(steps[:60, :4], steps[:60, 4:]).solution
        assert float((steps[-1:, :4] @ weights - steps[-1:, 4:]).abs().max()) < 0.01


def test_noise_is_as_large_as_asked() -> None:
    loud, quiet = (SeriesDemoConfig(num_recordings=50, noise=noise).build(FACTS) for noise in (0.3, 0.0))
    difference = loud.train.observations["values"] - quiet.train.observations["values"]
    assert math.isclose(float(difference.std()), 0.3, rel_tol=0.05)


def test_the_seed_decides_the_data_and_the_runs_seed_does_not() -> None:
    config = SeriesDemoConfig(num_recordings=20)
    assert config.build(FACTS).fingerprint == config.build(DatasetFacts(seed=5)).fingerprint
    assert attrs.evolve(config, seed=1).build(FACTS).fingerprint != config.build(FACTS).fingerprint


def test_too_few_windows_for_a_target_are_refused() -> None:
    with pytest.raises(ValueError, match=r"windows must be more than context_length 3, for a target \(got 3\)"):
        SeriesDemoConfig(windows=3)


@pytest.mark.parametrize("length", [4, 5, 33])
def test_every_length_is_finite_and_moves(length: int) -> None:
    values = SeriesDemoConfig(num_recordings=40, length=length, channels=1).build(FACTS).train.observations["values"]
    assert values.isfinite().all()
    assert values.flatten(2).std(2).min() > 0
