"""A plugin's own metric is judged, stopped on, compared and ablated by; its run is read without the plugin."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from jepa_core.ablation.recipe_check import GridRequest, load_grid
from jepa_core.ablation.variation import parse_variations
from jepa_core.commands.check import check
from jepa_core.commands.compare import compare
from jepa_core.engine.opening import Conclusion
from jepa_core.engine.session import train_recipe
from jepa_core.recipes.reading import load_recipe, with_scenarios
from jepa_core.registry import chosen_plugins
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.recorded_recipe import recorded_metrics, recorded_watch
from jepa_core.watch.judge import Judge
from tests.engine.test_session import Watcher

PLUGIN = '''
from typing import ClassVar

import attrs
from torch import nn

from jepa_core.contracts import LossTerm
from jepa_core.hookspecs import hookimpl
from jepa_core.metrics import Metric
from jepa_core.settings import setting

JEPA_CONTRACT = 2


@attrs.frozen(kw_only=True)
class LengthConfig:
    """Squared length of the prediction, to a limit."""

    kind: ClassVar[str] = "length"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("length.reported", "what the recipe says", "higher"),
        Metric("length.waste", "what the recipe says, the other way", "lower"),
        Metric("length.plain", "what the recipe says, neither way"),
    )

    reported: float = setting("what is reported", default=1.0)

    def build(self, facts):
        return Length(self.reported)


class Length(nn.Module):
    def __init__(self, reported):
        super().__init__()
        self.reported = reported

    def forward(self, forward):
        value = forward.z_context.float().square().sum(-1).mean()
        reported = value.detach() * 0 + self.reported
        return LossTerm(value=value, figures={f"length.{name}": reported for name in ("reported", "waste", "plain")})


@hookimpl
def jepa_losses():
    return [LengthConfig]
'''
LOSS = "losses.length.weight=0.01"


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    path = tmp_path / "length.py"
    path.write_text(PLUGIN)
    return path


@pytest.fixture
def train(plugin: Path, tiny_recipe_file: Path) -> Callable[..., Conclusion]:
    """Trains the tiny recipe with the plugin's loss and these `KEY=VALUE` flags."""

    def start(*flags: str) -> Conclusion:
        registry = chosen_plugins((plugin,), ())
        loaded = with_scenarios(load_recipe(tiny_recipe_file, overrides=(LOSS, *flags), registry=registry), registry)
        runs_dir = tiny_recipe_file.parent / "runs"
        return train_recipe(
            loaded, device="cpu", runs_dir=runs_dir, resume=None, open_screen=Watcher, registry=registry
        )

    return start


@pytest.mark.parametrize(
    ("metric", "better", "change"), [("length.reported", "higher", 0.5), ("length.waste", "lower", -0.5)]
)
def test_a_verdict_and_a_comparison_go_by_the_plugins_metric_in_its_direction(
    train: Callable[..., Conclusion], capsys: pytest.CaptureFixture[str], metric: str, better: str, change: float
) -> None:
    judge = f"watch.judge=['{metric}','val.retrieval.mrr']"
    first = train(judge, "losses.length.reported=2.0").path
    second = train(judge, "losses.length.reported=3.0", f"watch.baseline.run='{first}'")
    assert second.verdict is not None
    figure, retrieval = second.verdict.compared
    assert (figure.name, figure.value, figure.baseline, figure.change) == (metric, 3.0, 2.0, change)
    assert retrieval.name == "val.retrieval.mrr"
    assert f"{metric} 50.0 % {'better' if change > 0 else 'worse'} than tiny" in second.verdict.reason
    # What follows knows the run directories alone.
    compare(str(first), str(second.path), runs_dir=first.parent, json=True)
    printed = orjson.loads(capsys.readouterr().out)
    assert [shown["metric"] for shown in printed["at_equal_steps"]] == [metric, "val.retrieval.mrr"]
    assert printed["metrics"][0] == {"name": metric, "better": better, "unit": ""}
    recipe = RunReader(second.path).recipe()
    judged = Judge(recorded_watch(recipe).watch, recorded_metrics(recipe)).judged
    assert [declared.better for declared in judged.values()] == [better, "higher"]


def test_a_run_stops_on_the_plugins_metric_and_a_check_without_it_shows_that(
    train: Callable[..., Conclusion], capsys: pytest.CaptureFixture[str]
) -> None:
    conclusion = train("watch.early_stop={metric='length.reported', patience=3}")
    assert (conclusion.ending.kind, conclusion.ending.step) == ("early stop", 4)
    assert check(str(conclusion.path)) == 0
    told = "· early stop   step 4   epoch 0.667   length.reported did not improve on 1 by 0 in 3 rows"
    assert told in capsys.readouterr().out


def test_an_ablation_is_judged_by_the_plugins_metric(plugin: Path, tiny_recipe_file: Path) -> None:
    request = GridRequest(
        recipe=str(tiny_recipe_file),
        overrides=(LOSS, "watch.judge=['length.waste']"),
        variations=parse_variations(["losses.length.reported=1.0,2.0"]),
        metric="",
        devices=("cpu",),
        plugin_files=(plugin,),
    )
    checked = load_grid(request)
    assert (checked.metric.name, checked.metric.better) == ("length.waste", "lower")
    assert tomllib.loads(checked.recipes[0])["watch"]["judge"] == ["length.waste"]
