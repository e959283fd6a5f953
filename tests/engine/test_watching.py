"""What rules do to a run: aborts end it, and what fired live fires again when its rows are replayed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jepa_core.commands.check import check
from jepa_core.engine.opening import Conclusion
from jepa_core.engine.session import train_recipe
from jepa_core.recipes.reading import load_recipe, with_scenarios
from jepa_core.registry import installed
from jepa_core.run_directory.baseline_runs import resolve_baseline
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.recorded_recipe import recorded_baseline, recorded_epochs, recorded_metrics, recorded_watch
from jepa_core.watch.judge import Judge
from jepa_core.watch.replay import replay
from tests.engine.test_session import Watcher

KINDS = ("must ", "nice ", "abort ", "rollback ", "scenario ", "early stop ")
"""What the names of the events of rules begin with."""


def start(recipe_file: Path, *overrides: str) -> Conclusion:
    registry = installed()
    loaded = with_scenarios(load_recipe(recipe_file, overrides=overrides, registry=registry), registry)
    runs_dir = recipe_file.parent / "runs"
    return train_recipe(loaded, device="cpu", runs_dir=runs_dir, resume=None, open_screen=Watcher)


def fired_live(run: Path) -> list[tuple[str, float | None]]:
    return [(event.name, event.step) for event in RunReader(run).events() if event.name.startswith(KINDS)]


def fired_again(run: Path) -> list[tuple[str, float | None]]:
    reader = RunReader(run)
    recipe = reader.recipe()
    watch = recorded_watch(recipe).watch
    baseline = resolve_baseline(recorded_baseline(watch), run.parent)
    found = replay(
        reader.rows(), Judge(watch, recorded_metrics(recipe), baseline.values, recorded_epochs(recipe)), finished=True
    )
    return [(f"{firing.kind} {firing.name}", firing.step) for firing in found.firings]


def test_the_clock_epochs_is_live_what_it_is_replayed(tiny_recipe_file: Path) -> None:
    rule = "watch.rollback=[{id='half', when='epoch >= 0.5 * epochs'}]"
    run = start(tiny_recipe_file, rule, "train.epochs=2").path
    ((_, step),) = [firing for firing in fired_live(run) if firing[0] == "rollback half"]
    assert step == next(row["step"] for row in RunReader(run).rows() if row["epoch"] >= 1)
    assert ("rollback half", step) in fired_again(run)


def test_an_abort_ends_the_run_there_with_a_checkpoint_and_a_verdict(tiny_recipe_file: Path) -> None:
    rule = "watch.abort=[{id='enough', title='enough of this', when='step >= 3'}]"
    conclusion = start(tiny_recipe_file, rule)
    run = RunReader(conclusion.path)
    status, verdict = run.status(), run.verdict()
    assert conclusion.exit_code == 3
    assert (conclusion.ending.kind, conclusion.ending.step) == ("abort", 3)
    assert status is not None
    assert (status.state, status.exit_code, status.step) == ("aborted", 3, 3)
    assert verdict is not None
    assert (verdict.ending, verdict.exit_code) == ("abort", 3)
    assert verdict.cause.startswith("enough of this")
    assert (conclusion.path / "checkpoints" / "step-3").is_dir()
    assert max(row["step"] for row in run.rows()) == 3
    assert ("abort enough", 3) in fired_live(conclusion.path)


def test_an_abort_on_a_figure_that_is_not_finite_leaves_the_cause_to_the_bad_step(tiny_recipe_file: Path) -> None:
    rule = "watch.abort=[{id='non-finite', when='not finite(loss.total)'}]"
    conclusion = start(tiny_recipe_file, rule, "optimizer.lr=1e30")
    assert (conclusion.ending.kind, conclusion.exit_code) == ("non-finite", 3)
    assert fired_live(conclusion.path) == fired_again(conclusion.path)


CONDITIONS = st.sampled_from(
    [
        "loss.total > {x}",
        "mean(grad.norm, 3) > {x}",
        "slope(loss.info_nce, 3) < 0",
        "loss.total > 1.01 * min(loss.total)",
        "vq.usage < {x}",
        "val.retrieval.mrr < best(val.retrieval.mrr) or rank.context > {x}",
        "step >= 5",
        "fired('r0') and loss.total > {x}",
        "not finite(loss.total)",
        "throughput.samples_per_second > {x}",
    ]
)
RULES = st.tuples(CONDITIONS, st.floats(0, 5).map(lambda x: round(x, 2)), st.integers(1, 3))


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rules=st.lists(RULES, min_size=1, max_size=4), lists=st.data(), patience=st.integers(0, 3))
def test_what_fires_live_fires_again_at_the_same_steps(
    tiny_recipe_file: Path, rules: list[tuple[str, float, int]], lists: st.DataObject, patience: int
) -> None:
    overrides = ["watch.rollback=[{id='r0', when='step >= 2'}]"]
    if patience:
        metric = lists.draw(st.sampled_from(["val.loss.info_nce.raw", "val.retrieval.mrr"]))
        overrides += [f"watch.early_stop={{metric='{metric}', patience={patience}, min_delta=0.02}}"]
        overrides += ["diagnostics.validate_every_epochs=0.5"]
    entries: dict[str, list[str]] = {"abort": [], "scenario": []}
    for number, (text, x, evaluations) in enumerate(rules):
        kind = lists.draw(st.sampled_from(sorted(entries)))
        entries[kind].append(f"{{id='x{number}', when=\"{text.format(x=x)}\", for={evaluations}}}")
    overrides += [f"watch.{kind}=[{', '.join(of_kind)}]" for kind, of_kind in entries.items()]
    overrides.append("watch.must=[{id='m', when='loss.total < 3.4', hold='always'}]")
    run = start(tiny_recipe_file, *overrides, "data.num_sequences=60", "train.epochs=2").path
    assert fired_live(run) == fired_again(run)


def test_an_early_stop_fires_live_and_again_and_a_check_shows_it(
    tiny_recipe_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stop = "watch.early_stop={patience=1, min_delta=99}"
    run = start(tiny_recipe_file, stop, "train.epochs=9").path
    assert fired_live(run) == fired_again(run) == [("early stop val.loss.info_nce.raw", 12)]
    assert check(str(run)) == 0
    assert "· early stop   step 12   epoch 2   val.loss.info_nce.raw did not improve on" in capsys.readouterr().out


@pytest.mark.parametrize("override", ["watch.scenarios.throughput_dropped=false", "train.seed=5"])
def test_the_rules_of_a_run_stand_in_its_recipe(tiny_recipe_file: Path, override: str) -> None:
    run = start(tiny_recipe_file, override).path
    ids = {rule.of for rule in recorded_watch(RunReader(run).recipe()).watch.scenario}
    assert "non_finite" in ids
    assert ("throughput_dropped" in ids) == (override == "train.seed=5")
