"""The nearest-neighbour probe against voting in a loop, and what it must not credit."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from jepa_core.contracts import Observations, Sequences
from jepa_core.engine import probe as probe_module
from jepa_core.engine.probe import NUM_NEIGHBOURS, Readouts, knn_accuracy, probes_of


def alone(num: int) -> Tensor:
    """Every sequence in a group of its own."""
    return torch.arange(num)


def voted_in_a_loop(embeddings: Tensor, labels: Tensor, groups: Tensor) -> float | None:
    """Accuracy over sequences whose class another group has too; None when those are not of two classes."""
    right, judged = [], set()
    for i, own in enumerate(embeddings):
        others = [j for j in range(len(embeddings)) if groups[j] != groups[i]]
        if not any(labels[j] == labels[i] for j in others):
            continue
        judged.add(int(labels[i]))
        similarity = {j: float(F.cosine_similarity(own, embeddings[j], dim=0)) for j in others}
        nearest = sorted(others, key=similarity.__getitem__, reverse=True)[:NUM_NEIGHBOURS]
        votes: dict[int, float] = {}
        for j in nearest:
            votes[int(labels[j])] = votes.get(int(labels[j]), 0.0) + math.exp(similarity[j] / 0.07)
        right.append(max(votes, key=votes.__getitem__) == int(labels[i]))
    return sum(right) / len(right) if len(judged) > 1 else None


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 999), st.sampled_from([6, 30, 45]))
def test_it_equals_voting_in_a_loop(seed: int, num: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(num, 5, generator=generator)
    labels = torch.randint(3, (num,), generator=generator)
    groups = torch.arange(num) // 3
    found = knn_accuracy(embeddings, labels, groups)
    assert (found and found.accuracy) == pytest.approx(voted_in_a_loop(embeddings, labels, groups))


def test_taking_rows_in_parts_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    embeddings, labels = torch.randn(40, 5), torch.randint(3, (40,))
    at_once = knn_accuracy(embeddings, labels, alone(40))
    monkeypatch.setattr(probe_module, "_ROWS_AT_A_TIME", 7)
    assert knn_accuracy(embeddings, labels, alone(40)) == at_once


def test_classes_in_clusters_of_their_own_are_all_found() -> None:
    torch.manual_seed(0)
    labels = torch.arange(60) % 3
    embeddings = torch.eye(3)[labels] * 5 + 0.1 * torch.randn(60, 3)
    found = knn_accuracy(embeddings, labels, alone(60))
    assert found is not None
    assert (found.accuracy, found.num_classes, found.num_sequences) == (1.0, 3, 60)
    assert found.largest_class == pytest.approx(1 / 3)


def test_a_constant_encoder_is_no_better_than_guessing_the_largest_class() -> None:
    labels = torch.tensor([0] * 25 + [1] * 10 + [2] * 5)
    found = knn_accuracy(torch.ones(40, 8), labels, alone(40))
    assert found is not None
    assert found.largest_class == 25 / 40
    assert found.accuracy <= found.largest_class


def test_neighbours_of_ones_own_group_have_no_vote() -> None:
    labels = torch.tensor([0, 0, 1, 1, 0, 1])
    groups = torch.tensor([0, 0, 1, 1, 2, 3])
    # Within a group embeddings are equal; across groups the nearest is of the other class.
    first, second = [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]
    embeddings = torch.tensor([first, first, second, second, [0.0, 1.0, 0.3], [1.0, 0.0, 0.3]])
    together = knn_accuracy(embeddings, labels, groups)
    apart = knn_accuracy(embeddings, labels, alone(6))
    assert together is not None
    assert apart is not None
    assert apart.accuracy == pytest.approx(4 / 6)
    assert together.accuracy == 0


def test_a_class_that_nobody_else_has_is_not_judged() -> None:
    found = knn_accuracy(torch.eye(5), torch.tensor([0, 0, 1, 1, 2]), alone(5))
    assert found is not None
    assert (found.num_sequences, found.num_classes, found.largest_class) == (4, 2, 0.5)


def test_with_fewer_than_two_classes_to_tell_apart_there_is_no_probe() -> None:
    assert knn_accuracy(torch.eye(3), torch.arange(3), alone(3)) is None
    assert knn_accuracy(torch.eye(4), torch.tensor([0, 0, 1, 2]), alone(4)) is None


def test_embeddings_that_are_not_finite_never_help() -> None:
    found = knn_accuracy(torch.full((6, 3), torch.nan), torch.arange(6) % 2, alone(6))
    assert found is not None
    assert found.accuracy == 0


def sequences(tasks: list[int], rules: list[int] | None = None) -> Sequences:
    num = len(tasks)
    return Sequences(
        observations=Observations({"values": torch.zeros(num, 2, 3)}),
        tasks=torch.tensor(tasks),
        labels={} if rules is None else {"rule": torch.tensor(rules)},
    )


def read(prediction: torch.Tensor, **beside: torch.Tensor) -> Readouts:
    return Readouts(prediction=prediction, encoder=prediction, beside=beside)


def test_each_readout_is_judged_on_its_own() -> None:
    rules = sequences([0, 1, 2, 3], [0, 0, 1, 1])
    apart = torch.eye(2)[[0, 0, 1, 1]]
    (rule,) = probes_of(Readouts(prediction=apart[[0, 2, 1, 3]], encoder=apart, beside={"pixels": apart}), rules)
    assert (rule.accuracy, rule.encoder, rule.beside) == (0.0, 1.0, {"pixels": 1.0})


def test_every_label_is_probed_and_the_task_where_tasks_hold_several_sequences() -> None:
    embeddings = torch.eye(4)[[0, 0, 1, 1, 2, 2, 3, 3]]
    rule, task = probes_of(read(embeddings), sequences([4, 4, 5, 5, 6, 6, 7, 7], [0, 0, 0, 0, 1, 1, 1, 1]))
    assert (task.label, task.accuracy, task.largest_class, task.num_classes) == ("task", 1.0, 0.25, 4)
    assert (rule.label, rule.num_classes, rule.largest_class) == ("rule", 2, 0.5)


def test_tasks_of_one_sequence_and_data_without_labels_give_no_probe() -> None:
    assert probes_of(read(torch.eye(3)), sequences([0, 1, 2])) == ()


def test_a_rule_that_only_one_task_has_cannot_be_told_by_finding_the_task() -> None:
    assert [probe.label for probe in probes_of(read(torch.eye(4)), sequences([0, 0, 1, 1], [3, 3, 4, 4]))] == ["task"]
