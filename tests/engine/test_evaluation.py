"""Looking without training: chunks, what stays as it was, and figures against their formulas."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import attrs
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from jepa_core.contracts import Observations, SequenceDataset, Sequences, Space
from jepa_core.engine.checkpoint import same_tree
from jepa_core.engine.data_shape import DataShape
from jepa_core.engine.device import choose_compute
from jepa_core.engine.evaluation import (
    Gathered,
    Validation,
    as_shares,
    code_figures,
    evaluation_mode,
    gather,
    num_codes,
    representation_figures,
    spectra,
)
from jepa_core.engine.hard_candidates import HardCandidates
from jepa_core.engine.network import build_parts
from jepa_core.engine.nulls import ChosenNulls
from jepa_core.engine.objective import Objective
from jepa_core.engine.probe import Question
from jepa_core.engine.representation import lidar, unique_candidates
from jepa_core.errors import PluginError
from jepa_core.facts import DatasetFacts, NullFacts
from jepa_core.recipes.tables import Recipe
from jepa_core.registry import installed
from jepa_core.spaces import HasFeatures
from jepa_core.watch.nulls import NullFigures, RankedNulls
from jepa_plugins.grids.space import GridSpace
from tests.engine.training import RecipeMaker

CPU = choose_compute("cpu", "fp32")


@attrs.frozen
class Subject:
    """A model that was never trained, and the validation split of its recipe."""

    objective: Objective
    space: Space
    split: Sequences

    def gather(self, chunk: int = 1000, *, losses: bool = False) -> Gathered:
        return gather(self.objective, self.split.observations, CPU, chunk=chunk, views={} if losses else None)

    def validation(self, chunk: int = 1000) -> Validation:
        return Validation(self.space, self.split, CPU, chunk=chunk)


@pytest.fixture
def subject(tiny_recipe: Callable[..., Recipe]) -> Callable[..., Subject]:
    """The tiny recipe, with `KEY=VALUE` overrides."""

    def build(*overrides: str) -> Subject:
        recipe = tiny_recipe(*overrides)
        dataset = recipe.data.build(DatasetFacts(seed=0))
        parts = build_parts(recipe, DataShape.of(dataset), CPU.device)
        weights = {name: entry.weight for name, entry in recipe.losses.items()}
        return Subject(Objective(parts, weights), dataset.space, dataset.validation)

    return build


def assert_close(a: Gathered, b: Gathered) -> None:
    for field in ("z_context", "z_target", "codes", "order_sensitivity"):
        torch.testing.assert_close(getattr(a, field), getattr(b, field))
    for name in a.losses:
        torch.testing.assert_close(a.losses[name], b.losses[name])


def test_taking_sequences_in_chunks_changes_nothing(subject: Callable[..., Subject]) -> None:
    model = subject()
    assert len(model.split) % 7 != 0
    assert_close(model.gather(7), model.gather())


def test_losses_of_chunks_count_by_their_sequences(subject: Callable[..., Subject]) -> None:
    model = subject()
    batches = model.split.observations.split(7)
    sizes = [len(batch) for batch in batches]
    with evaluation_mode(model.objective):
        values = [model.objective(batch, {}).figures["loss.quantizer.raw"] for batch in batches]
    expected = sum(value * size for value, size in zip(values, sizes, strict=True)) / sum(sizes)
    torch.testing.assert_close(model.gather(7, losses=True).losses["loss.quantizer.raw"], expected)


def test_looking_changes_no_state_and_draws_no_dropout(subject: Callable[..., Subject]) -> None:
    model = subject("encoder.dropout=0.5")
    model.objective.train()
    before = {name: tensor.clone() for name, tensor in model.objective.state_dict().items()}
    first, second = model.validation()(model.objective, {}), model.validation()(model.objective, {})
    assert first == second
    assert same_tree(before, dict(model.objective.state_dict()))
    assert model.objective.training
    assert model.objective.online.encoder.training
    assert all(parameter.grad is None for parameter in model.objective.parameters())


def test_the_mode_comes_back_after_an_error(subject: Callable[..., Subject]) -> None:
    objective = subject().objective.train()
    with pytest.raises(RuntimeError, match="mat1"), evaluation_mode(objective):
        objective.online.projector(torch.zeros(2, 99))
    assert objective.training
    assert torch.is_grad_enabled()


def test_order_sensitivity_is_the_relative_distance_that_rotating_the_context_moves_the_state(
    subject: Callable[..., Subject],
) -> None:
    model = subject("aggregator.kind=last")
    online = model.objective.online
    context = model.split.observations[:, :-1]

    def states(observations: Observations) -> Tensor:
        tokens = online.encode(observations.flatten())
        values, mask = (part.unflatten(0, context["grid"].shape[:2]) for part in (tokens.values, tokens.mask))
        return online.state(online.quantize(values, mask, collect=False).values, mask)

    with evaluation_mode(model.objective):
        state, rotated = states(context), states(context.map(lambda part: part.roll(1, 1)))
    expected = ((rotated - state).norm(dim=1) / state.norm(dim=1)).mean()
    torch.testing.assert_close(model.gather().order_sensitivity, expected)
    assert expected > 0


def test_a_mean_over_time_is_not_sensitive_to_order(subject: Callable[..., Subject]) -> None:
    gathered = subject("aggregator.kind=mean").gather()
    assert gathered.order_sensitivity.item() == pytest.approx(0, abs=1e-5)


def test_aggregators_that_show_weights_give_their_mean_and_relative_entropy(subject: Callable[..., Subject]) -> None:
    gathered = subject().gather()
    assert gathered.time_weights is not None
    assert gathered.attention_entropy is not None
    assert gathered.time_weights.sum().item() == pytest.approx(1)
    assert 0 < gathered.attention_entropy.item() <= 1 + 1e-6


def test_info_nce_is_judged_over_all_distinct_targets_and_the_total_follows(subject: Callable[..., Subject]) -> None:
    model = subject()
    figures = model.validation(chunk=7)(model.objective, {})
    gathered = model.gather(7, losses=True)
    distinct = unique_candidates(model.space.keys(model.split.observations[:, -1]))
    cosines = F.normalize(gathered.z_context, dim=1) @ F.normalize(gathered.z_target[distinct.representatives], dim=1).T
    temperature = model.objective.losses["info_nce"].temperature()  # type: ignore[operator]  # InfoNce
    expected = -(cosines / temperature).log_softmax(1).gather(1, distinct.index[:, None]).mean().item()
    assert figures["val.loss.info_nce.raw"] == pytest.approx(expected, rel=1e-5)
    weights = model.objective.weights
    total = sum(weights[name] * figures[f"val.loss.{name}.raw"] for name in ("info_nce", "sigreg"))
    assert figures["val.loss.total"] == pytest.approx(total + figures["val.loss.quantizer.raw"], rel=1e-5)


def test_the_judged_figures_do_not_depend_on_the_batch_size(subject: Callable[..., Subject]) -> None:
    model = subject()
    small, large = (model.validation(chunk)(model.objective, {}) for chunk in (5, 24))
    for name in ("val.loss.info_nce.raw", "val.retrieval.mrr", "val.rank.context", "val.order.sensitivity"):
        assert small[name] == pytest.approx(large[name], rel=1e-4)


def test_nulls_and_the_untrained_network_stand_beside_the_models_retrieval(tiny_recipe: RecipeMaker) -> None:
    recipe = tiny_recipe()
    dataset = with_tasks(recipe.data.build(DatasetFacts(seed=0)), 10)
    parts = build_parts(recipe, DataShape.of(dataset), CPU.device)
    objective = Objective(parts, {name: entry.weight for name, entry in recipe.losses.items()})
    validation = Validation(dataset.space, dataset.validation, CPU, chunk=7)
    validation.rank_nulls(ChosenNulls.of(recipe, installed()), dataset, objective)
    ranked = validation.nulls.ranked
    assert {null.name for null in ranked.figures} == {"equal_cells", "palette_and_size", "extrapolation", "untrained"}
    untrained, strongest = ranked.get("untrained"), ranked.strongest
    assert untrained is not None
    assert strongest is not None
    figures = validation(objective, {}, with_hard=True)
    assert untrained.mrr == pytest.approx(figures["val.retrieval.mrr"])
    assert figures["val.retrieval.null_mrr"] == strongest.mrr == max(null.mrr for null in ranked.figures)
    assert figures["val.retrieval.above_null"] == pytest.approx(untrained.mrr - strongest.mrr, abs=1e-6)
    assert figures["val.retrieval.above_null_low"] <= figures["val.retrieval.above_null"]
    assert figures["val.retrieval.candidates"] == validation.candidates.size
    assert figures["val.hard.null_mrr"] == max(null.hard_mrr or 0 for null in ranked.figures)
    assert 0 < figures["val.hard.mrr"] <= 1
    assert "val.hard.mrr" not in validation(objective, {})


def with_tasks(dataset: SequenceDataset, number: int) -> SequenceDataset:
    """The same validation in so many tasks."""
    tasks = torch.arange(len(dataset.validation)) % number
    return dataclasses.replace(dataset, validation=dataclasses.replace(dataset.validation, tasks=tasks))


def ranked_with(recipe: Recipe, dataset: SequenceDataset, **nulls: type) -> Validation:
    """A validation with nulls of a plugin beside counting equal cells."""
    validation = Validation(dataset.space, dataset.validation, CPU, chunk=50)
    equal_cells = installed().family("null")["equal_cells"].config_class()
    configs = {"equal_cells": equal_cells} | {name: config() for name, config in nulls.items()}
    chosen = ChosenNulls(configs=configs, with_untrained=False, disabled=())
    validation.rank_nulls(chosen, dataset, None)
    return validation


class Raising:
    spaces = (GridSpace,)

    def build(self, facts: NullFacts) -> Raising:
        return self

    def fit(self, train: Sequences) -> dict[str, float]:
        raise ValueError("no weights\nto be had")


class NotFinite(Raising):
    def fit(self, train: Sequences) -> dict[str, float]:
        return {}

    def scores(self, context: Observations, candidates: Observations) -> Tensor:
        return torch.full((len(context), len(candidates)), torch.nan)


class Turned(NotFinite):
    def scores(self, context: Observations, candidates: Observations) -> Tensor:
        return torch.zeros(len(candidates), len(context) + 1)


def test_a_null_that_fails_is_left_out_and_named_and_stops_nothing(tiny_recipe: RecipeMaker) -> None:
    recipe = tiny_recipe()
    dataset = recipe.data.build(DatasetFacts(seed=0))
    ranked = ranked_with(recipe, dataset, raising=Raising, nan=NotFinite, turned=Turned).nulls.ranked
    assert [null.name for null in ranked.figures] == ["equal_cells"]
    assert set(ranked.failed) == {"raising", "nan", "turned"}
    assert ranked.failed["raising"].startswith("ValueError: no weights to be had (")
    assert "test_evaluation.py, line" in ranked.failed["raising"]
    assert "scores are not finite" in ranked.failed["nan"]
    assert "contexts × candidates" in ranked.failed["turned"]


class Scaled(NotFinite):
    """Counting equal cells in tiny numbers, which writes to what it is given."""

    def scores(self, context: Observations, candidates: Observations) -> Tensor:
        counted = (candidates["grid"] == context["grid"][:, -1, None]).flatten(2).float().mean(2) * 1e-8
        context["grid"].zero_()
        candidates["grid"].zero_()
        return counted


def test_a_null_may_have_any_scale_and_changes_nothing_that_it_writes_to(tiny_recipe: RecipeMaker) -> None:
    recipe = tiny_recipe()
    dataset = recipe.data.build(DatasetFacts(seed=0))
    before = dataset.validation.observations["grid"].clone()
    ranked = ranked_with(recipe, dataset, scaled=Scaled).nulls.ranked
    scaled, counted = ranked.get("scaled"), ranked.get("equal_cells")
    assert scaled is not None
    assert counted is not None
    assert scaled.mrr == pytest.approx(counted.mrr, abs=1e-4)
    assert dataset.validation.observations["grid"].equal(before)


class Exits(Raising):
    def fit(self, train: Sequences) -> dict[str, float]:
        raise SystemExit(3)


class FitsText(NotFinite):
    def fit(self, train: Sequences) -> Any:
        return {"weight": "high"}


def test_a_null_that_leaves_or_finds_no_numbers_is_left_out(tiny_recipe: RecipeMaker) -> None:
    recipe = tiny_recipe()
    dataset = recipe.data.build(DatasetFacts(seed=0))
    failed = ranked_with(recipe, dataset, exits=Exits, text=FitsText).nulls.ranked.failed
    assert failed["exits"].startswith("SystemExit: 3")
    assert "not names with finite numbers" in failed["text"]


def test_a_run_goes_on_only_beside_the_null_that_it_is_judged_by(tiny_recipe: RecipeMaker) -> None:
    recipe = tiny_recipe()
    dataset = recipe.data.build(DatasetFacts(seed=0))
    measured = ranked_with(recipe, dataset)
    equal_cells = measured.nulls.ranked.figures[0]
    again = Validation(dataset.space, dataset.validation, CPU, chunk=50)
    chosen = ChosenNulls(configs={}, with_untrained=False, disabled=())
    with pytest.raises(PluginError, match="'equal_cells', which cannot be ranked now: it is not installed"):
        again.rank_nulls(chosen, dataset, None, measured.nulls.ranked)
    with pytest.raises(PluginError, match="cannot be ranked now: the recipe switches it off"):
        again.rank_nulls(attrs.evolve(chosen, disabled=("equal_cells",)), dataset, None, measured.nulls.ranked)
    other = attrs.evolve(measured.nulls.ranked, figures=(attrs.evolve(equal_cells, mrr=equal_cells.mrr + 0.1),))
    chosen = ChosenNulls.of(recipe, installed())
    told = (
        rf"'equal_cells', which is not what it was: its MRR was {other.figures[0].mrr:.4f} .* {equal_cells.mrr:.4f} now"
    )
    with pytest.raises(PluginError, match=told):
        again.rank_nulls(chosen, dataset, None, other)


def test_an_untrained_network_that_is_another_now_is_paired_with_nothing(tiny_recipe: RecipeMaker) -> None:
    recipe = tiny_recipe()
    dataset = recipe.data.build(DatasetFacts(seed=0))
    parts = build_parts(recipe, DataShape.of(dataset), CPU.device)
    untrained = RankedNulls(figures=(NullFigures(name="untrained", mrr=2.0, top1=1.0),))
    validation = Validation(dataset.space, dataset.validation, CPU, chunk=50)
    chosen = ChosenNulls(configs={}, with_untrained=True, disabled=())
    objective = Objective(parts, dict.fromkeys(recipe.losses, 1.0))
    validation.rank_nulls(chosen, dataset, objective, untrained)
    assert validation.nulls.strongest_ranks is None
    assert validation.nulls.not_paired == "that network is another now than when the run began"
    validation.rank_nulls(chosen, dataset, objective)
    assert validation.nulls.not_paired == ""


@pytest.mark.parametrize("num_tasks", [9, 10])
def test_with_fewer_than_10_tasks_no_difference_to_a_null_is_recorded(tiny_recipe: RecipeMaker, num_tasks: int) -> None:
    recipe = tiny_recipe("data.num_sequences=600")
    dataset = recipe.data.build(DatasetFacts(seed=0))
    dataset = with_tasks(dataset, num_tasks)
    parts = build_parts(recipe, DataShape.of(dataset), CPU.device)
    figures = ranked_with(recipe, dataset)(Objective(parts, dict.fromkeys(recipe.losses, 1.0)), {})
    assert figures["val.retrieval.candidates"] >= 20
    assert figures["val.retrieval.tasks"] == num_tasks
    assert ("val.retrieval.above_null_low" in figures) == (num_tasks == 10)


@pytest.mark.parametrize(("num_targets", "is_compared"), [(19, False), (20, True)])
def test_with_fewer_than_20_distinct_targets_no_difference_to_a_null_is_recorded(
    tiny_recipe: RecipeMaker, num_targets: int, is_compared: bool
) -> None:
    recipe = tiny_recipe()
    dataset = recipe.data.build(DatasetFacts(seed=0))
    targets = unique_candidates(dataset.space.keys(dataset.validation.observations[:, -1]))
    kept = torch.isin(targets.index, torch.arange(num_targets))
    dataset = with_tasks(dataclasses.replace(dataset, validation=dataset.validation.rows(kept)), 10)
    parts = build_parts(recipe, DataShape.of(dataset), CPU.device)
    figures = ranked_with(recipe, dataset)(Objective(parts, dict.fromkeys(recipe.losses, 1.0)), {})
    assert figures["val.retrieval.candidates"] == num_targets
    assert ("val.retrieval.above_null_low" in figures) == is_compared


def test_near_copies_are_the_models_own_similarities(subject: Callable[..., Subject]) -> None:
    """The figure by hand: each candidate alone through the target network."""
    model = subject()
    validation = model.validation(chunk=100)
    hard = HardCandidates.of(model.space, model.split.observations, model.split.tasks)
    assert hard is not None
    validation.hard = hard
    figures = validation(model.objective, {}, with_hard=True)
    gathered = model.gather()
    reciprocal = []
    with torch.no_grad():
        for number, row in enumerate(hard.rows.tolist()):
            kept = hard.is_distinct[number]
            candidates = hard.candidates[number][kept]
            z = model.objective.eval().target.projector(model.objective.encode_target(candidates)[1])
            scores = F.cosine_similarity(gathered.z_context[row][None], z)
            ties = int(((scores - scores[0]).abs() <= 1e-6).sum()) - 1
            reciprocal.append(1 / (1 + int((scores > scores[0] + 1e-6).sum()) + ties / 2))
    assert figures["val.hard.mrr"] == pytest.approx(sum(reciprocal) / len(reciprocal), abs=1e-4)


def test_near_copies_stay_a_tenth_of_what_validations_encode(subject: Callable[..., Subject]) -> None:
    model = subject()
    validation = model.validation()
    assert validation.hard_every() == 1
    hard = HardCandidates.of(model.space, model.split.observations, model.split.tasks)
    assert hard is not None
    validation.hard = hard
    encoded = len(model.split) * model.split.num_places
    assert hard.num_observations / validation.hard_every() <= 0.1 * encoded


LABELLED = ("data.num_sequences=240", "data.validation_share=0.3")
"""Of the tiny recipe: some validation tasks share a rule."""


def numbered(split: Sequences) -> Sequences:
    """With a number beside its classes: the share of cells of the target that are not empty."""
    filled = (split.observations["grid"][:, -1] > 0).flatten(1).double().mean(1)
    return dataclasses.replace(split, labels={**split.labels, "Share filled": filled})


def test_labels_are_probed_by_predictions_at_every_look(subject: Callable[..., Subject]) -> None:
    model = subject(*LABELLED)
    model = attrs.evolve(model, split=numbered(model.split))
    figures = model.validation()(model.objective, {})
    probes = {name.removeprefix("val.probe."): value for name, value in figures.items() if ".probe." in name}
    z_context = model.gather().z_context
    rule, share = (Question.of("", labels, model.split.tasks) for labels in model.split.labels.values())
    assert rule is not None
    assert share is not None
    expected = (rule.scores(z_context), share.scores(z_context))
    assert probes == {
        "rule.knn": expected[0].knn,
        "rule.linear": expected[0].linear,
        "share_filled.knn_r2": expected[1].knn,
        "share_filled.r2": expected[1].linear,
    }


def test_raw_features_and_the_untrained_network_stand_in_the_first_row(tiny_recipe: RecipeMaker) -> None:
    recipe = tiny_recipe(*LABELLED)
    dataset = recipe.data.build(DatasetFacts(seed=0))
    parts = build_parts(recipe, DataShape.of(dataset), CPU.device)
    objective = Objective(parts, dict.fromkeys(recipe.losses, 1.0))
    validation = Validation(dataset.space, dataset.validation, CPU, chunk=50)
    validation.rank_nulls(ChosenNulls.of(recipe, installed()), dataset, objective)
    looked, first = validation(objective, {}), validation.first_row()
    assert validation.nulls.ranked.first_row().items() < first.items()
    for kind in ("knn", "linear"):
        assert first[f"val.probe.null.untrained.rule.{kind}"] == looked[f"val.probe.rule.{kind}"]
    question = Question.of("rule", dataset.validation.labels["rule"], dataset.validation.tasks)
    assert question is not None
    assert isinstance(dataset.space, HasFeatures)
    cells = question.scores(dataset.space.features(dataset.validation.observations[:, -2])["cells"])
    assert (first["val.probe.null.cells.rule.knn"], first["val.probe.null.cells.rule.linear"]) == (
        cells.knn,
        cells.linear,
    )
    assert sum(".probe." in name for name in first) == 4


def test_an_untrained_network_that_is_switched_off_is_not_probed(tiny_recipe: RecipeMaker) -> None:
    recipe = tiny_recipe(*LABELLED, "nulls.untrained.enabled=false")
    dataset = recipe.data.build(DatasetFacts(seed=0))
    objective = Objective(build_parts(recipe, DataShape.of(dataset), CPU.device), dict.fromkeys(recipe.losses, 1.0))
    validation = Validation(dataset.space, dataset.validation, CPU, chunk=50)
    validation.rank_nulls(ChosenNulls.of(recipe, installed()), dataset, objective)
    assert {name for name in validation.first_row() if ".probe." in name} == {
        "val.probe.null.cells.rule.knn",
        "val.probe.null.cells.rule.linear",
    }


def test_data_without_labels_have_no_probe(subject: Callable[..., Subject]) -> None:
    model = subject(*LABELLED)
    validation = attrs.evolve(model, split=dataclasses.replace(model.split, labels={})).validation()
    assert not any(".probe." in name for name in {**validation(model.objective, {}), **validation.first_row()})


def test_lidar_is_of_predictions_by_task_where_tasks_hold_several_sequences(subject: Callable[..., Subject]) -> None:
    model = subject()
    figures = model.validation()(model.objective, {})
    expected = lidar(model.gather().z_context, model.split.tasks).item()
    assert figures["val.rank.lidar"] == pytest.approx(expected)
    assert 1 < expected < len(model.split.tasks.unique())
    tasks = torch.arange(len(model.split))
    alone = attrs.evolve(model, split=dataclasses.replace(model.split, tasks=tasks))
    assert "val.rank.lidar" not in alone.validation()(alone.objective, {})


def test_figures_of_a_look_draw_no_random_number(subject: Callable[..., Subject]) -> None:
    model = subject(*LABELLED)
    validation = model.validation()
    looked = validation.look(model.objective, {})
    before = torch.get_rng_state()
    assert "val.probe.rule.linear" in validation.figures(model.objective, looked)
    validation.first_row()
    assert torch.get_rng_state().equal(before)


def test_code_figures_count_the_tokens_of_the_context(subject: Callable[..., Subject]) -> None:
    model = subject()
    gathered = model.gather()
    assert gathered.codes is not None
    used = set(gathered.codes.flatten().tolist()) - {-1}
    figures, counts = code_figures(gathered, num_codes(model.objective))
    assert counts is not None
    assert int(counts.sum()) == int((gathered.codes >= 0).sum())
    assert figures["vq.usage"].item() == pytest.approx(len(used) / 8)
    assert figures["vq.dead"] == 8 - len(used)


def test_without_a_codebook_there_are_no_code_figures(subject: Callable[..., Subject]) -> None:
    model = subject("quantizer.kind=none")
    assert num_codes(model.objective) == 0
    assert code_figures(model.gather(), 0) == ({}, None)
    assert not any(name.startswith("val.vq.") for name in model.validation()(model.objective, {}))


def test_ranks_and_spectrum_are_of_embeddings_at_unit_length(subject: Callable[..., Subject]) -> None:
    gathered = subject().gather()
    lengths = torch.linspace(1, 1000, len(gathered.z_context))[:, None]
    longer = attrs.evolve(gathered, z_context=gathered.z_context * lengths, z_target=gathered.z_target * lengths)
    found, of_longer = spectra(gathered), spectra(longer)
    figures, others = representation_figures(gathered, found), representation_figures(longer, of_longer)
    assert figures["rank.context"] > 2
    for name in ("rank.context", "rank.target"):
        assert figures[name].item() == pytest.approx(others[name].item(), rel=1e-3)
    for side, shares in as_shares(found).items():
        assert shares == pytest.approx(as_shares(of_longer)[side], abs=1e-4)


def test_the_spectrum_is_shares_in_descending_order(subject: Callable[..., Subject]) -> None:
    for shares in as_shares(spectra(subject().gather())).values():
        assert shares == sorted(shares, reverse=True)
        assert sum(shares) == pytest.approx(1)
