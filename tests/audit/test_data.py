"""Copies, leaks, empty grids and objects, each put into data on purpose."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import attrs
import pytest
import torch

from jepa_core.audit import data_audit
from jepa_core.audit.auditing import audit_recipe
from jepa_core.audit.brief import brief_audit
from jepa_core.audit.data_audit import (
    audit_data,
    candidate_findings,
    comes_split,
    data_findings,
    split_faults,
)
from jepa_core.audit.fields import without_what_is_set
from jepa_core.contracts import Observations, SequenceDataset, Sequences
from jepa_core.recipes.reading import load_recipe
from jepa_core.recipes.structuring import recipe_table
from jepa_core.recipes.tables import Recipe
from jepa_core.registry import installed
from jepa_core.watch.findings import Finding
from jepa_core.watch.nulls import says_little
from jepa_plugins.grids.encoders.objects import ObjectsConfig
from tests.audit.recipes import COMPUTE, data_of, dataset_like, repeated

RECIPES = Path(__file__).parents[2] / "recipes"
RecipeMaker = Callable[..., Recipe]


def leaking(dataset: SequenceDataset) -> SequenceDataset:
    """The validation split with two training sequences in it, tasks and all."""
    train, validation = dataset.train, dataset.validation
    return dataset_like(
        dataset,
        train,
        Sequences(
            observations=Observations.cat([validation.observations, train.observations[:2]]),
            tasks=torch.cat([validation.tasks, train.tasks[:2]]),
        ),
    )


def test_generated_data_is_clean(tiny_recipe: RecipeMaker) -> None:
    recipe = tiny_recipe()
    figures = audit_data(recipe, data_of(recipe))
    assert figures.across_splits == figures.identical_context == figures.repeated_in_train == 0
    assert figures.shared_tasks == 0
    assert figures.nulls.strongest is not None
    assert [finding.name for finding in data_findings(figures)] == ["target in context"]


def test_a_leak_of_a_split_that_came_so_is_information(tiny_recipe: RecipeMaker) -> None:
    dataset = data_of(tiny_recipe("data.num_sequences=1200"))
    train, validation = dataset.train, dataset.validation
    leaky = dataset_like(
        dataset,
        train,
        Sequences(
            observations=Observations.cat([validation.observations, train.observations[:1]]),
            tasks=torch.cat([validation.tasks, validation.tasks[:1]]),
        ),
    )
    for official, severity in ((False, "warning"), (True, "info")):
        assert [finding.severity for finding in split_faults(leaky, 5000, official=official)] == [severity]
    assert comes_split(load_recipe(RECIPES / "quickstart.toml", registry=installed()).recipe.data)
    assert not comes_split(tiny_recipe().data)


def test_a_leak_that_is_looked_for_in_a_part_of_the_data_says_so(
    tiny_recipe: RecipeMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tiny_recipe("data.num_sequences=1200")
    leaky = leaking(data_of(recipe))
    num = len(leaky.validation)
    few, all_of_it = (
        [finding.message for finding in split_faults(leaky, most) if finding.name == "duplicates across splits"]
        for most in (num, 5000)
    )
    share = f"{100 * 2 / num:.1f} % of the"
    assert few == [f"{share} first {num:,} validation sequences are among the first {num:,} of training too."]
    assert all_of_it == [f"{share} validation sequences are in training too."]
    told = []
    for most in (num, 5000):
        monkeypatch.setattr(data_audit, "MOST_SEQUENCES", most)
        told += [f.message for f in data_findings(audit_data(recipe, leaky, with_retrieval=False))]
    assert {*few, *all_of_it} <= set(told)


@pytest.mark.parametrize(("count", "severity"), [(1, "critical"), (19, "warning"), (20, None)])
def test_few_distinct_targets_are_told(tiny_recipe: RecipeMaker, count: int, severity: str | None) -> None:
    dataset = data_of(tiny_recipe("data.num_sequences=400"))
    unique = {int(key): row for row, key in enumerate(dataset.space.keys(dataset.validation.observations[:, -1]))}
    rows = torch.tensor((list(unique.values())[:count] * 3)[: max(count, 3)])
    validation = dataset.validation
    few = validation.rows(rows)
    config = tiny_recipe().data
    found = list(candidate_findings(dataset_like(dataset, dataset.train, few), config))
    found = [finding for finding in found if finding.name == "few candidates"]
    assert [finding.severity for finding in found] == ([severity] if severity else [])


@pytest.mark.parametrize(
    ("tasks", "others", "advice"),
    [
        (9, 15, "10 of 24 are data.validation_share = 0.42"),
        (1, 4, "there are 5 tasks in all"),
        (10, 30, None),
    ],
)
def test_few_tasks_are_told_with_how_many_a_verdict_needs(
    tiny_recipe: RecipeMaker, tasks: int, others: int, advice: str | None
) -> None:
    recipe = tiny_recipe("data.num_sequences=400", f"data.validation_share={tasks / (tasks + others)}")
    dataset = data_of(recipe)

    def of_tasks(split: Sequences, first: int, count: int) -> Sequences:
        return Sequences(observations=split.observations, tasks=first + torch.arange(len(split)) % count)

    few = dataset_like(dataset, of_tasks(dataset.train, tasks, others), of_tasks(dataset.validation, 0, tasks))
    found = [finding for finding in brief_audit(recipe, few, COMPUTE, 0.0) if finding.name == "few tasks"]
    assert found == [finding for finding in audit_recipe(recipe, few, COMPUTE).findings if finding.name == "few tasks"]
    assert len(found) == (advice is not None)
    if advice is not None:
        assert found[0].severity == "warning"
        assert advice in found[0].advice
        share = advice.partition(" = ")[2]
        assert found[0].set == ({"data": {"validation_share": float(share)}} if share else {})
    # The verdict refuses to compare under the same limit.
    assert bool(says_little(1000, tasks)) == bool(found)


def test_no_share_is_set_where_the_data_say_themselves_who_validates(tiny_recipe: RecipeMaker) -> None:
    recipe = tiny_recipe("data.validation_share=0.4")  # eight of its twenty tasks
    dataset = data_of(recipe)
    few = dataset_like(dataset, dataset.train, dataset.validation.rows(dataset.validation.tasks < 5))
    for of_data, share in ((dataset, {"validation_share": 0.5}), (few, None)):
        (found,) = (each for each in candidate_findings(of_data, recipe.data) if each.name == "few tasks")
        assert found.set == ({"data": share} if share else {})


def test_a_split_that_came_so_is_not_advised_a_share(tiny_recipe: RecipeMaker) -> None:
    recipe = load_recipe(RECIPES / "arc.toml", registry=installed()).recipe
    dataset = data_of(tiny_recipe())
    few = dataset_like(dataset, dataset.train, dataset.validation.rows(slice(5)))
    found = list(candidate_findings(few, recipe.data))
    assert [finding.name for finding in found] == ["few candidates", "few tasks"]
    assert all("validation_share" not in finding.advice for finding in found)


def test_an_advice_never_repeats_what_is_set(tiny_recipe: RecipeMaker) -> None:
    recipe = tiny_recipe()
    advice = {
        "data": {"num_sequences": recipe_table(recipe)["data"]["num_sequences"]},
        "train": {"epochs": 1, "batch_size": 7},
    }
    finding = without_what_is_set(Finding(name="x", severity="info", message="m", set=advice), recipe)
    assert finding.set == {"train": {"batch_size": 7}}


def test_a_leak_is_found(tiny_recipe: RecipeMaker) -> None:
    recipe = tiny_recipe()
    dataset = leaking(data_of(recipe))
    figures = audit_data(recipe, dataset)
    assert figures.across_splits == pytest.approx(2 / len(dataset.validation))
    assert figures.shared_tasks == 1
    names = {finding.name for finding in data_findings(figures)}
    assert {"tasks on both sides", "duplicates across splits"} <= names
    assert {finding.name for finding in split_faults(dataset, 1000)} <= names


def test_copies_in_the_context_are_found(tiny_recipe: RecipeMaker) -> None:
    recipe = tiny_recipe()
    figures = audit_data(recipe, repeated(data_of(recipe)))
    assert figures.identical_context == 1.0
    assert "identical context" in {finding.name for finding in data_findings(figures)}


def test_objects_beyond_the_encoders_limit_are_counted(tiny_recipe: RecipeMaker) -> None:
    recipe = attrs.evolve(tiny_recipe(), encoder=ObjectsConfig(dim=8, heads=1, layers=0, max_objects=1))
    figures = audit_data(recipe, data_of(recipe))
    of_grids = figures.of_space
    assert of_grids.figures["objects.maximum"] > 1
    assert 0 < of_grids.figures["objects_cut"] < 1
    assert (
        "objects cut off",
        f"{100 * of_grids.figures['objects_cut']:.3g} % beyond the encoder's 1",
    ) in of_grids.lines
    assert "objects cut off" in {finding.name for finding in data_findings(figures)}
    without = audit_data(tiny_recipe(), data_of(recipe)).of_space
    assert "objects cut off" not in dict(without.lines)


def with_train(dataset: SequenceDataset, change: Callable[[Sequences], Sequences]) -> SequenceDataset:
    return dataset_like(dataset, change(dataset.train), dataset.validation)


@pytest.mark.parametrize("times", [1, 2, 5])
def test_repeated_sequences_are_counted_without_their_first_occurrence(tiny_recipe: RecipeMaker, times: int) -> None:
    recipe = tiny_recipe()
    dataset = with_train(data_of(recipe), lambda train: train.rows(torch.arange(len(train)).repeat(times)))
    figures = audit_data(recipe, dataset, with_retrieval=False)
    assert figures.repeated_in_train == pytest.approx(1 - 1 / times)
    assert figures.nulls.figures == ()


def test_a_sequence_in_another_order_is_another_sequence(tiny_recipe: RecipeMaker) -> None:
    recipe = tiny_recipe()
    dataset = data_of(recipe)
    reordered = Sequences(observations=dataset.train.observations[:, [1, 0, 2, 3]], tasks=dataset.train.tasks + 1000)
    figures = audit_data(recipe, dataset_like(dataset, dataset.train, reordered), with_retrieval=False)
    assert figures.across_splits < 0.1
    assert audit_data(recipe, dataset_like(dataset, dataset.train, dataset.train)).across_splits == 1.0


def test_one_sequence_alone_is_audited_as_well(tiny_recipe: RecipeMaker) -> None:
    recipe = tiny_recipe()
    dataset = data_of(recipe)
    one = dataset_like(dataset, dataset.train.rows(slice(1)), dataset.validation.rows(slice(1)))
    figures = audit_data(recipe, one)
    assert (figures.train_sequences, figures.validation_sequences, figures.audited_sequences) == (1, 1, 2)
    assert (figures.repeated_in_train, figures.across_splits) == (0.0, 0.0)
    (finding,) = candidate_findings(one, recipe.data)
    assert finding.message == "Validation has one distinct target: whatever the model does, it is found first."


@pytest.mark.parametrize(
    ("share", "severity"), [(0.0, None), (0.05, None), (0.051, "info"), (0.5, "info"), (0.51, "warning")]
)
def test_targets_that_are_in_their_context_are_told_by_how_many_there_are(
    tiny_recipe: RecipeMaker, share: float, severity: str | None
) -> None:
    recipe = tiny_recipe()
    figures = attrs.evolve(audit_data(recipe, data_of(recipe), with_retrieval=False), target_in_context=share)
    told = [finding.severity for finding in data_findings(figures) if finding.name == "target in context"]
    assert told == ([severity] if severity else [])


def test_a_target_counts_as_in_context_wherever_it_stands_there(tiny_recipe: RecipeMaker) -> None:
    recipe = tiny_recipe()
    dataset = data_of(recipe)
    places = torch.arange(len(dataset.train)) % 3  # the place of the context that the target is copied to

    def copied(tensor: torch.Tensor) -> torch.Tensor:
        tensor = tensor.clone()
        tensor[torch.arange(len(tensor)), places[: len(tensor)]] = tensor[:, -1]
        return tensor

    def change(split: Sequences) -> Sequences:
        return Sequences(observations=split.observations.map(copied), tasks=split.tasks)

    changed = dataset_like(dataset, change(dataset.train), change(dataset.validation))
    assert audit_data(recipe, changed, with_retrieval=False).target_in_context == 1.0


@pytest.mark.parametrize(
    ("share", "severity", "words"),
    [
        (0.0004, "info", "identical in 0.0004 of sequences"),
        (0.5, "info", "identical in 50.0 % of sequences"),
        (0.6, "warning", "identical in 60.0 % of sequences"),
    ],
)
def test_few_copies_are_not_rounded_away(tiny_recipe: RecipeMaker, share: float, severity: str, words: str) -> None:
    recipe = tiny_recipe()
    figures = attrs.evolve(audit_data(recipe, data_of(recipe), with_retrieval=False), identical_context=share)
    (finding,) = (finding for finding in data_findings(figures) if finding.name == "identical context")
    assert finding.severity == severity
    assert words in finding.message
