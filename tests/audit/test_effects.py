"""Replacing parts and moving settings: what has an effect, what has none, and why."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import pytest

from jepa_core.audit.auditing import audit_recipe
from jepa_core.audit.effect_audit import part_rows, setting_rows
from jepa_core.audit.fields import fields_of, with_value
from jepa_core.audit.rebuilding import Change
from jepa_core.audit.report import EffectRow
from jepa_core.recipes.tables import Recipe
from tests.audit.recipes import COMPUTE, Detached, ScaledLossConfig, data_of, encoded, recorded, repeated, with_loss

RecipeMaker = Callable[..., Recipe]


def by_name(rows: object) -> dict[str, EffectRow]:
    return {row.name: row for row in rows}  # type: ignore[attr-defined]  # an iterable of rows


def settings_of(recipe: Recipe) -> dict[str, EffectRow]:
    bench = recorded(recipe)
    return by_name(setting_rows(encoded(recipe), bench, 0.0, {}))


def test_a_change_of_nothing_has_no_effect_to_the_last_bit(tiny_recipe: RecipeMaker) -> None:
    bench = recorded(tiny_recipe())
    assert bench.try_change(Change(recipe=bench.recipe)).exact_none
    assert bench.try_change(Change(recipe=bench.recipe, own_encoders=True)).exact_none


def test_parts_matter_where_context_grids_differ(tiny_recipe: RecipeMaker) -> None:
    rows = by_name(part_rows(recorded(tiny_recipe()), 0.0))
    assert set(rows) == {"aggregator attention", "context order", "quantizer ema_vq", "target network"}
    assert all(row.verdict == "effect" for row in rows.values())
    assert rows["aggregator attention"].embeddings > 1e-3


def test_aggregator_and_order_have_no_effect_on_copies_and_it_is_said_why(tiny_recipe: RecipeMaker) -> None:
    recipe = tiny_recipe()
    rows = by_name(part_rows(recorded(recipe, repeated(data_of(recipe))), 1.0))
    for name in ("aggregator attention", "context order"):
        assert rows[name].verdict == "none"
        assert rows[name].reason.startswith("all 3 observations of context identical in 100 % of sequences")
    assert rows["quantizer ema_vq"].verdict == "effect"


def test_the_order_does_not_matter_to_a_mean(tiny_recipe: RecipeMaker) -> None:
    rows = by_name(part_rows(recorded(tiny_recipe("aggregator.kind=mean")), 0.0))
    assert "aggregator mean" not in rows
    assert rows["context order"].verdict == "none"


def test_a_setting_that_is_read_by_nothing_is_found_and_those_that_act_later_are_not_judged(
    tiny_recipe: RecipeMaker,
) -> None:
    recipe = with_loss(tiny_recipe(), "odd", ScaledLossConfig(module=Detached))
    rows = settings_of(recipe)
    assert rows["losses.odd.idle"].verdict == "none"
    assert rows["losses.odd.idle"].without == "±20 %"
    for name in ("quantizer.commitment", "quantizer.decay", "optimizer.lr", "target.ema_decay", "losses.sigreg.weight"):
        assert rows[name].verdict == "effect", name
    for name in ("quantizer.revive_every", "schedule.warmup_steps", "losses.info_nce.temperature_max"):
        assert (rows[name].verdict, rows[name].reason) == ("not testable", "not testable here: acts later")
    assert rows["encoder.dropout"].reason == "not testable here: is 0"


def test_the_learning_rate_moves_parameters_by_as_much_as_it_is_moved(tiny_recipe: RecipeMaker) -> None:
    rows = settings_of(tiny_recipe("optimizer.weight_decay=0"))
    assert rows["optimizer.lr"].parameters == pytest.approx(0.2, rel=1e-3)


def test_encoder_settings_are_tried_on_the_encoder_itself(tiny_recipe: RecipeMaker) -> None:
    rows = settings_of(tiny_recipe("encoder.dropout=0.2"))
    assert rows["encoder.dropout"].verdict == "effect"
    assert rows["encoder.mlp_ratio"].verdict == "effect"


def test_a_setting_that_only_copies_make_idle_has_them_as_its_reason(tiny_recipe: RecipeMaker) -> None:
    recipe = tiny_recipe("losses.relational.weight=0.1", "quantizer.kind=none")
    copies = repeated(data_of(recipe))
    rows = by_name(setting_rows(encoded(recipe, copies), recorded(recipe, copies), 1.0, {}))
    row = rows["losses.relational.context_self_weight"]
    assert (row.verdict, row.reason) == ("none", "all 3 observations of context identical in 100 % of sequences")


def test_values_stay_within_their_range(tiny_recipe: RecipeMaker) -> None:
    recipe = tiny_recipe("target.ema_decay=0.99", "losses.info_nce.temperature=0.05")
    moved = {field.key: [word for word, _ in field.moved(recipe)] for field in fields_of(recipe)}
    assert moved["target.ema_decay"] == ["−20 %", "×½"]
    assert moved["losses.info_nce.temperature"] == ["+20 %", "×2"]


def test_a_value_can_be_set_in_every_table_that_has_fields(tiny_recipe: RecipeMaker) -> None:
    recipe = tiny_recipe()
    for field in fields_of(recipe):
        assert with_value(recipe, field.table, field.name, field.value) == recipe


def test_a_warm_up_does_not_hide_what_settings_do(tiny_recipe: RecipeMaker) -> None:
    bench = recorded(tiny_recipe("schedule.warmup_steps=100000"))
    assert bench.steps[-1].figures["lr"] == pytest.approx(bench.recipe.optimizer.lr)


def test_the_audit_of_copies_names_the_change_that_is_honest(tiny_recipe: RecipeMaker) -> None:
    recipe = tiny_recipe()
    audit = audit_recipe(recipe, repeated(data_of(recipe)), COMPUTE)
    (critical,) = (finding for finding in audit.findings if finding.severity == "critical")
    assert critical.name == "aggregator without effect"
    assert "identical in 100 % of sequences" in critical.message
    assert critical.set == {"aggregator": {"kind": "mean"}}  # traces have at least two context grids
    assert audit.findings[0] is critical


def test_the_audit_of_sound_data_says_that_the_aggregator_matters(tiny_recipe: RecipeMaker) -> None:
    recipe = attrs.evolve(tiny_recipe())
    audit = audit_recipe(recipe, data_of(recipe), COMPUTE)
    assert not [finding for finding in audit.findings if finding.severity == "critical"]
    (matters,) = (finding for finding in audit.findings if finding.name == "aggregator matters")
    assert matters.message.endswith("with a mean in its place, after 3 steps.")
