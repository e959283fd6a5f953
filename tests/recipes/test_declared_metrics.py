"""The closed set of metrics that a recipe's rules may name."""

from __future__ import annotations

from pathlib import Path

from jepa_core.metrics import ENGINE_METRICS, Metric, declaration_of, directed
from jepa_core.recipes.declared_metrics import declared_metrics, undeclared
from tests.recipes.writing_recipes import MINIMAL, load, write


def test_engine_losses_parts_and_components_declare_metrics_each_name_once(tmp_path: Path) -> None:
    text = MINIMAL + "[losses.again]\nkind = 'contrast'\n"
    names = [metric.name for metric in declared_metrics(load(write(tmp_path, "small", text)).recipe)]
    assert len(names) == len(set(names))
    assert {metric.name for metric in ENGINE_METRICS} <= set(names)
    assert {"temperature", "loss.again.raw", "val.loss.again.raw", "grad.share.quantizer", "moved.again"} <= set(names)
    assert {"moved.projector", "val.vq.usage", "val.std.context"} <= set(names)
    assert "loss.relational" not in names


def test_figures_measured_on_validation_keep_direction_and_range(tmp_path: Path) -> None:
    metrics = {metric.name: metric for metric in declared_metrics(load(write(tmp_path, "small", MINIMAL)).recipe)}
    assert metrics["val.vq.usage"].better == metrics["vq.usage"].better == "higher"
    assert metrics["val.vq.usage"].maximum == 1


def test_a_group_covers_the_names_below_it() -> None:
    metrics = (Metric("gate.*", "openness of each gate"), Metric("lr", "learning rate"))
    assert undeclared(["gate.3", "lr", "gates.3", "gate", "lr.x"], metrics) == ["gate", "gates.3", "lr.x"]


def test_a_name_has_its_own_declaration_before_its_groups() -> None:
    gates, third = Metric("gate.*", "openness of each gate", "higher", "%"), Metric("gate.3", "the third", "lower")
    assert declaration_of("gate.3", (gates, third)) == third
    assert declaration_of("gate.4", (gates, third)) == Metric("gate.4", "openness of each gate", "higher", "%")
    assert declaration_of("gates", (gates, third)) is None


def test_names_with_a_direction_keep_their_order() -> None:
    metrics = (Metric("a", "", "lower"), Metric("b", ""), Metric("c", "", "higher"))
    assert list(directed(["c", "b", "none", "a"], metrics)) == ["c", "a"]
