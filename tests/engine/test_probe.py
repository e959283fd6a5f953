"""Probes by neighbours against voting in a loop, the labels that can be asked for, and what must not be credited."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import r2_score  # type: ignore[import-untyped]  # it ships no types
from torch import Tensor

from jepa_core.contracts import Observations, Sequences
from jepa_core.engine import probe as probe_module
from jepa_core.engine.linear_probe import folds_of, held_out_classes, held_out_numbers
from jepa_core.engine.probe import (
    MOST_CLASSES,
    NUM_NEIGHBOURS,
    ProbedLabels,
    Question,
    Readouts,
    evenly_chosen,
    metric_names,
    predicted_by_neighbours,
    probes_of,
)
from jepa_core.watch.language import parse_rule


def alone(num: int) -> Tensor:
    """Every sequence in a group of its own."""
    return torch.arange(num)


def asked(labels: Tensor, groups: Tensor) -> Question:
    question = Question.of("label", labels, groups)
    assert question is not None
    return question


def weighted_neighbours(embeddings: Tensor, groups: Tensor, i: int) -> dict[int, float]:
    """Weight of each of the nearest of other groups."""
    others = [j for j in range(len(embeddings)) if groups[j] != groups[i]]
    similarity = {j: float(F.cosine_similarity(embeddings[i], embeddings[j], dim=0)) for j in others}
    nearest = sorted(others, key=similarity.__getitem__, reverse=True)[:NUM_NEIGHBOURS]
    return {j: math.exp(similarity[j] / 0.07) for j in nearest}


def voted_in_a_loop(embeddings: Tensor, labels: Tensor, groups: Tensor) -> float | None:
    """Accuracy over sequences whose class another group has too; None when those are not of two classes."""
    right, judged = [], set()
    for i in range(len(embeddings)):
        if not any(labels[j] == labels[i] for j in range(len(embeddings)) if groups[j] != groups[i]):
            continue
        judged.add(int(labels[i]))
        votes: dict[int, float] = {}
        for j, weight in weighted_neighbours(embeddings, groups, i).items():
            votes[int(labels[j])] = votes.get(int(labels[j]), 0.0) + weight
        right.append(max(votes, key=votes.__getitem__) == int(labels[i]))
    return sum(right) / len(right) if len(judged) > 1 else None


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 999), st.sampled_from([6, 30, 45]))
def test_classes_are_voted_for_as_in_a_loop(seed: int, num: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(num, 5, generator=generator)
    labels = torch.randint(3, (num,), generator=generator)
    groups = torch.arange(num) // 3
    question = Question.of("label", labels, groups)
    assert (question and question.scores(embeddings).knn) == pytest.approx(voted_in_a_loop(embeddings, labels, groups))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 999), st.sampled_from([15, 30, 45]))
def test_numbers_are_the_weighted_mean_of_neighbours_as_in_a_loop(seed: int, num: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    embeddings, numbers = torch.randn(num, 5, generator=generator), torch.randn(num, generator=generator).double()
    groups = torch.arange(num) // 3
    expected = []
    for i in range(num):
        weights = weighted_neighbours(embeddings, groups, i)
        expected.append(sum(weight * float(numbers[j]) for j, weight in weights.items()) / sum(weights.values()))
    told = predicted_by_neighbours(embeddings, numbers, groups)
    torch.testing.assert_close(told, torch.tensor(expected, dtype=torch.float64), rtol=1e-4, atol=1e-5)
    assert asked(numbers, groups).scores(embeddings).knn == pytest.approx(
        r2_score(numbers, expected), rel=1e-3, abs=1e-6
    )


def test_taking_rows_in_parts_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    embeddings, labels = torch.randn(40, 5), torch.randint(3, (40,))
    at_once = [predicted_by_neighbours(embeddings, answers, alone(40)) for answers in (labels, labels.double())]
    monkeypatch.setattr(probe_module, "_ROWS_AT_A_TIME", 7)
    in_parts = [predicted_by_neighbours(embeddings, answers, alone(40)) for answers in (labels, labels.double())]
    torch.testing.assert_close(in_parts, at_once)


def test_classes_in_clusters_of_their_own_are_all_found() -> None:
    torch.manual_seed(0)
    labels = torch.arange(60) % 3 + 7
    embeddings = torch.eye(3)[labels - 7] * 5 + 0.1 * torch.randn(60, 3)
    question = asked(labels, alone(60))
    assert (question.num_classes, int(question.judged.sum())) == (3, 60)
    assert question.constant == pytest.approx(1 / 3)
    scores = question.scores(embeddings)
    assert (scores.knn, scores.linear) == (1.0, 1.0)


def test_the_linear_score_is_accuracy_or_r2_of_what_is_held_out() -> None:
    torch.manual_seed(0)
    embeddings, groups = torch.randn(60, 5), torch.arange(60) // 2
    numbers = (embeddings[:, 0] + torch.randn(60)).double()
    classes = (numbers > 0).long()
    held_out = held_out_numbers(embeddings, numbers, folds_of(numbers, groups))
    assert asked(numbers, groups).scores(embeddings).linear == pytest.approx(r2_score(numbers, held_out))
    told = held_out_classes(embeddings, classes, folds_of(classes, groups))
    assert asked(classes, groups).scores(embeddings).linear == pytest.approx(float((told == classes).double().mean()))


def test_a_linear_map_finds_what_neighbours_do_not() -> None:
    """A number in one direction of many, beside noise that decides who is near."""
    torch.manual_seed(0)
    numbers = torch.randn(200).double()
    embeddings = torch.cat([numbers[:, None].float(), 5 * torch.randn(200, 10)], dim=1)
    scores = asked(numbers, alone(200)).scores(embeddings)
    assert scores.linear is not None
    assert scores.linear > 0.99
    assert scores.knn < 0.5


@pytest.mark.parametrize("labels", [torch.tensor([0] * 25 + [1] * 10 + [2] * 5), torch.linspace(0, 1, 40)])
def test_a_constant_encoder_is_no_better_than_an_answer_that_is_always_the_same(labels: Tensor) -> None:
    question = asked(labels, alone(40))
    assert question.constant == (0.0 if labels.is_floating_point() else 25 / 40)
    scores = question.scores(torch.ones(40, 8))
    assert scores.linear is not None
    assert max(scores.knn, scores.linear) <= question.constant


def test_neighbours_of_ones_own_group_have_no_vote() -> None:
    labels = torch.tensor([0, 0, 1, 1, 0, 1])
    groups = torch.tensor([0, 0, 1, 1, 2, 3])
    # Within a group embeddings are equal; across groups the nearest is of the other class.
    first, second = [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]
    embeddings = torch.tensor([first, first, second, second, [0.0, 1.0, 0.3], [1.0, 0.0, 0.3]])
    assert asked(labels, alone(6)).scores(embeddings).knn == pytest.approx(4 / 6)
    assert asked(labels, groups).scores(embeddings).knn == 0


def test_a_class_that_nobody_else_has_is_not_judged() -> None:
    question = asked(torch.tensor([0, 0, 1, 1, 2]), alone(5))
    assert (question.judged.tolist(), question.num_classes, question.constant) == ([True] * 4 + [False], 2, 0.5)
    assert question.fitted.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("labels", "groups"),
    [
        (torch.arange(3), alone(3)),
        (torch.tensor([0, 0, 1, 2]), alone(4)),
        (torch.tensor([0, 0, 1, 1]), torch.tensor([0, 0, 1, 1])),
        (torch.full((9,), 2.5), alone(9)),
        (torch.arange(12).double(), torch.arange(12) // 3),
    ],
    ids=["no two alike", "one class of two", "a group each", "equal numbers", "numbers of four groups"],
)
def test_what_cannot_be_told_is_not_asked(labels: Tensor, groups: Tensor) -> None:
    assert Question.of("label", labels, groups) is None


@pytest.mark.parametrize("labels", [torch.arange(12) % 2, torch.arange(12).double()])
def test_embeddings_that_are_not_finite_never_help(labels: Tensor) -> None:
    scores = asked(labels, alone(12)).scores(torch.full((12, 3), torch.nan))
    assert (scores.knn, scores.linear) == (0.0, 0.0)


def test_of_too_many_classes_neighbours_alone_are_asked() -> None:
    few, many = (torch.arange(2 * num) // 2 for num in (MOST_CLASSES, MOST_CLASSES + 1))
    assert asked(many, alone(len(many))).scores(torch.eye(len(many))).linear is None
    assert asked(few, alone(len(few))).scores(torch.ones(len(few), 2)).linear is not None


def test_a_linear_map_is_fitted_to_some_that_are_evenly_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe_module, "MOST_FITTED", 10)
    question = asked(torch.arange(40) // 20, alone(40))
    assert question.fitted.tolist() == list(range(0, 40, 4))
    assert int(question.judged.sum()) == 40
    embeddings = torch.eye(2)[question.answers]
    embeddings[1::4] = torch.nan
    scores = question.scores(embeddings)
    assert (scores.knn, scores.linear) == (0.75, 1.0)


@given(st.integers(0, 400), st.integers(1, 40))
def test_some_are_chosen_evenly(num: int, most: int) -> None:
    places = evenly_chosen(num, most).tolist()
    assert len(places) == min(num, most)
    steps = {after - before for before, after in zip(places, [*places[1:], num], strict=False)}
    assert max(steps, default=0) - min(steps, default=0) <= 1
    assert not steps or min(steps) >= 1


def sequences(tasks: list[int], **labels: list[int] | list[float]) -> Sequences:
    num = len(tasks)
    return Sequences(
        observations=Observations({"values": torch.zeros(num, 2, 3)}),
        tasks=torch.tensor(tasks),
        labels={name: torch.tensor(values) for name, values in labels.items()},
    )


def read(prediction: torch.Tensor, **beside: torch.Tensor) -> Readouts:
    return Readouts(prediction=prediction, encoder=prediction, beside=beside)


def test_each_readout_is_judged_on_its_own() -> None:
    rules = sequences([0, 1, 2, 3], rule=[0, 0, 1, 1])
    apart = torch.eye(2)[[0, 0, 1, 1]]
    (rule,) = probes_of(Readouts(prediction=apart[[0, 2, 1, 3]], encoder=apart, beside={"pixels": apart}), rules)
    assert (rule.prediction.knn, rule.encoder.knn) == (0.0, 1.0)
    assert rule.beside == {"pixels": rule.encoder}
    assert not rule.is_numeric


def test_every_label_is_probed_and_the_task_where_tasks_hold_several_sequences() -> None:
    embeddings = torch.eye(5)[torch.arange(10) // 2]
    tasks = [4, 4, 5, 5, 6, 6, 7, 7, 8, 8]
    given_labels = sequences(tasks, rule=[0, 0, 0, 0, 1, 1, 1, 1, 1, 1], pace=[float(task) for task in tasks])
    rule, pace, task = probes_of(read(embeddings), given_labels)
    assert (task.label, task.prediction.knn, task.constant, task.num_classes) == ("task", 1.0, 0.2, 5)
    assert (rule.label, rule.num_classes, rule.constant, rule.num_sequences, rule.num_fitted) == (
        "rule",
        2,
        0.6,
        10,
        10,
    )
    assert (pace.label, pace.is_numeric, pace.num_classes, pace.constant) == ("pace", True, 0, 0.0)


def test_the_task_is_told_from_other_sequences_of_it_by_neighbours_and_by_a_linear_map() -> None:
    """What sequences of a task share gives it away, which any other label is kept from."""
    tasks = [place // 5 for place in range(20)]
    shared = torch.eye(4)[torch.tensor(tasks)]
    rule, task = probes_of(read(shared), sequences(tasks, rule=[number % 2 for number in tasks]))
    assert (task.prediction.knn, task.prediction.linear) == (1.0, 1.0)
    assert rule.prediction.knn < 1


def test_tasks_of_one_sequence_and_data_without_labels_give_no_probe() -> None:
    assert probes_of(read(torch.eye(3)), sequences([0, 1, 2])) == ()


def test_a_rule_that_only_one_task_has_cannot_be_told_by_finding_the_task() -> None:
    labels = sequences([0, 0, 1, 1], rule=[3, 3, 4, 4])
    assert [probe.label for probe in probes_of(read(torch.eye(4)), labels)] == ["task"]


def test_figures_of_classes_and_of_numbers_have_names_of_their_own() -> None:
    tasks = list(range(12))
    labels: dict[str, list[int] | list[float]] = {"Kind of": [task % 2 for task in tasks]}
    split = sequences(tasks, **labels, pace=[task / 2 for task in tasks])
    probed = ProbedLabels.of(split)
    embeddings = torch.randn(12, 3, generator=torch.Generator().manual_seed(0))
    figures = probed.figures(embeddings)
    assert list(figures) == ["kind_of.knn", "kind_of.linear", "pace.knn_r2", "pace.r2"]
    kind, pace = probes_of(read(embeddings), split)
    assert (figures["kind_of.knn"], figures["kind_of.linear"]) == (kind.prediction.knn, kind.prediction.linear)
    assert (figures["pace.knn_r2"], figures["pace.r2"]) == (pace.prediction.knn, pace.prediction.linear)


def test_of_a_large_split_some_sequences_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe_module, "MOST_FITTED", 10)
    split = sequences(list(range(40)), kind=[task % 3 for task in range(40)])
    probed = ProbedLabels.of(split)
    assert probed.rows.tolist() == list(range(0, 40, 4))
    assert probed.questions["kind"].answers.tolist() == split.labels["kind"][probed.rows].tolist()


def test_metrics_are_named_so_that_a_rule_can_name_them() -> None:
    names = ["digit", "Is left", "is-left", "class", "3d", "é", "", "null", "is_left_2", "not", "Not "]
    safe = metric_names(names)
    assert (safe["digit"], safe["Is left"], safe["class"], safe["3d"]) == ("digit", "is_left", "class_", "label_3d")
    assert len(set(safe.values())) == len(names)
    assert "null" not in safe.values()
    for name in safe.values():
        rule = parse_rule(f"val.probe.{name}.knn > 0.5")
        assert rule.names == {f"val.probe.{name}.knn"}


@given(st.lists(st.text(max_size=12), unique=True, max_size=12))
def test_any_names_can_be_told_apart_in_rules(names: list[str]) -> None:
    safe = metric_names(names)
    assert list(safe) == names
    assert len(set(safe.values())) == len(names)
    for name in safe.values():
        assert parse_rule(f"val.probe.{name}.r2 > 0").names == {f"val.probe.{name}.r2"}


@pytest.mark.parametrize("factor", [1e300, 2.0**1020, 1e-300, 1.0])
def test_numbers_of_any_size_have_the_score_of_their_multiples(factor: float) -> None:
    values = torch.linspace(0.5, 1, 40, dtype=torch.float64)
    embeddings = torch.stack([values, values.square(), torch.ones(40)], 1).float()
    expected, found = (asked(values * scale, alone(40)).scores(embeddings) for scale in (1.0, factor))
    assert expected.linear is not None
    assert expected.linear > 0.9
    assert (found.knn, found.linear) == pytest.approx((expected.knn, expected.linear), rel=1e-9)
