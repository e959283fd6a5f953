"""Pictures of comparisons and ablations: what is drawn, where it is refused, and the same file for the same figures."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from jepa_core.comparison.comparing import compare_runs
from jepa_core.comparison.recorded_run import RecordedRun
from jepa_core.errors import JepaError, RecipeError
from jepa_core.presentation.ablation_plot import draw_ablation
from jepa_core.presentation.comparison_plot import check_plot_path, draw_comparison
from jepa_core.watch.nulls import NullFigures, RankedNulls
from tests.ablation.results import a_plan, a_result
from tests.comparison.recorded import recorded

MRR = "val.retrieval.mrr"


def run(name: str, *values: float, seed: int = 0, data: str = "d") -> RecordedRun:
    nulls = RankedNulls(figures=(NullFigures(name="pair_analogy", mrr=0.346, top1=0.2),))
    series = {MRR: dict(enumerate(values, start=1))}
    return attrs.evolve(recorded(name, series, seed=seed, data=data, aggregator={"kind": name[0]}), nulls=nulls)


def drawn(path: Path, *runs: RecordedRun) -> str:
    """The SVG, in which every text stands as a comment."""
    draw_comparison(compare_runs(runs), path)
    return path.read_text()


@pytest.mark.parametrize("name", ["a.svg", "a.PNG"])
def test_pictures_have_one_of_two_endings(name: str) -> None:
    check_plot_path(Path(name))


@pytest.mark.parametrize("name", ["a", "a.pdf", "svg", "a.svg.txt"])
def test_another_ending_is_refused_before_anything_is_drawn(name: str) -> None:
    with pytest.raises(RecipeError, match=r"must end in \.svg or \.png"):
        check_plot_path(Path(name))


def test_runs_metric_and_null_are_named_and_a_name_is_no_formula(tmp_path: Path) -> None:
    text = drawn(tmp_path / "a.svg", run("_a$x$", 0.1, 0.2), run("b", 0.2, 0.3))
    for words in ("_a$x$", "b", MRR, "step", "strongest null (pair analogy) 0.346"):
        assert f"<!-- {words} -->" in text or f"<!--  {words} -->" in text, words


def test_the_same_figures_are_the_same_file(tmp_path: Path) -> None:
    one, two = (drawn(tmp_path / f"{name}.svg", run("a", 0.1), run("b", 0.2)) for name in "xy")
    assert one == two


@pytest.mark.parametrize(("data", "warned"), [("d", False), ("e", True)])
def test_curves_on_other_data_carry_a_warning(tmp_path: Path, data: str, warned: bool) -> None:
    text = drawn(tmp_path / "a.svg", run("a", 0.1), run("b", 0.2, data=data))
    assert ("OTHER DATA" in text) is warned


def test_seeds_are_drawn_under_their_mean_and_gaps_and_nan_are_no_fault(tmp_path: Path) -> None:
    runs = [run("a0", 0.1, float("nan"), 0.3), run("a1", 0.2, 0.3, seed=1), run("b", 0.2, float("inf"))]
    text = drawn(tmp_path / "a.svg", *runs)
    assert "mine, mean of 2 seeds" in text


def test_runs_without_figures_are_an_empty_picture(tmp_path: Path) -> None:
    assert "<svg" in drawn(tmp_path / "a.svg", recorded("a"), recorded("b", x=1))


def test_a_folder_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(JepaError, match=r"cannot be written: No such file"):
        drawn(tmp_path / "none" / "a.svg", run("a", 0.1), run("b", 0.2))


def test_an_ablation_draws_each_cell_and_each_effect_against_the_reference(tmp_path: Path) -> None:
    plan = a_plan({"aggregator.kind": ("mean", "attention", "last")}, 2)
    figures = {(planned.cell.values, planned.seed): 0.1 * planned.cell.number for planned in plan.runs}
    draw_ablation(a_result(plan, {**figures, (("last",), 1): "failed"}), tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text()
    for words in ("mean (2 seeds)", "attention (2 seeds)", "last (1 seed)", "difference to mean", "aggregator.kind"):
        assert words in text
