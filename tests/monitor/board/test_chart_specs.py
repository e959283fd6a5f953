from __future__ import annotations

import math
from pathlib import Path

import attrs
import numpy as np
import pytest

from jepa_core.run_directory.events import Event
from jepa_core.watch.baseline import BaselineValues, EpochSeries
from jepa_monitor.board.chart_choice import ChartChoice
from jepa_monitor.board.chart_groups import chart_groups, single
from jepa_monitor.board.chart_specs import ChartSpecs, shown_runs
from jepa_monitor.board.trouble import NO_TROUBLE, Trouble
from jepa_monitor.charts.spec import CURVE_TONES, ChartSpec
from jepa_monitor.display import AxisKind, Display
from jepa_monitor.model.run_view import RunView
from tests.monitor.recorded import NOON, record, rows
from tests.monitor.views import outlook, view_of, with_outlooks


def spec_of(view: RunView, key: str, display: Display | None = None, specs: ChartSpecs | None = None) -> ChartSpec:
    display = display or Display()
    group = next(group for group in chart_groups(view.history.names) if group.key == key)
    return (specs or ChartSpecs()).spec(group, shown_runs([view], display), display, NO_TROUBLE)


def test_a_chart_has_its_curves_its_newest_values_and_the_range_of_the_run(tmp_path: Path) -> None:
    spec = spec_of(view_of(tmp_path / "mine"), "rank")
    assert [curve.label for curve in spec.curves] == ["context", "target"]
    assert spec.figure == "8  11"
    assert spec.x_range == (0, 400)
    assert spec.integer_x


def test_values_have_the_tones_of_their_lines_where_there_are_several_lines_or_runs(tmp_path: Path) -> None:
    view = view_of(tmp_path / "mine")
    assert spec_of(view, "rank").figure_tones == CURVE_TONES[:2]
    assert spec_of(view, "vq.usage").figure_tones == ()
    group = next(group for group in chart_groups(view.history.names) if group.key == "vq.usage")
    runs = shown_runs([attrs.evolve(view, finals={}), view], Display())
    assert ChartSpecs().spec(group, runs, Display(), NO_TROUBLE).figure_tones == CURVE_TONES[1:2]


def test_limits_stand_where_they_are_judged_and_scenarios_that_are_silent_do_not(tmp_path: Path) -> None:
    spec = spec_of(view_of(tmp_path / "mine"), "vq.usage")
    assert [(t.label, t.y, t.start, t.dashed) for t in spec.thresholds] == [
        ("must 10 %", 0.10, None, True),
        ("abort 5 %", 0.05, 100.0, False),
    ]
    assert spec.percent
    silent = with_outlooks(view_of(tmp_path / "other"), outlook("scenario", "passing", "vq.usage", limit=0.3))
    assert not spec_of(silent, "vq.usage").thresholds


def test_a_limit_that_is_drawn_as_a_curve_is_no_second_line(tmp_path: Path) -> None:
    when = "val.retrieval.mrr > val.retrieval.null_mrr"
    rule = outlook("nice", "passing", "val.retrieval.mrr", when=when, limit=0.346, operator=">")
    assert not spec_of(with_outlooks(view_of(tmp_path / "mine"), rule), "val.retrieval.mrr").thresholds


def test_the_bounds_of_a_learned_temperature_are_limits(tmp_path: Path) -> None:
    labels = [t.label for t in spec_of(view_of(tmp_path / "mine"), "temperature").thresholds]
    assert labels == ["lower bound 0.05", "upper bound 0.2"]


def test_checkpoints_firings_and_the_first_value_that_is_not_finite_are_marks(tmp_path: Path) -> None:
    def spoil(row: dict[str, float]) -> dict[str, float]:
        return row | ({"grad.norm": math.nan} if row["step"] > 300 else {})

    view = view_of(tmp_path / "mine", change=spoil)
    marks = spec_of(view, "grad.norm").marks
    assert [(mark.kind, mark.x) for mark in marks if mark.kind == "non-finite"] == [("non-finite", 310)]
    assert [mark.x for mark in marks if mark.kind == "checkpoint"] == [100, 200, 300, 400]
    collapsed = view_of(tmp_path / "other", change=lambda row: row | {"vq.usage": 0.2 - row["step"] / 2500})
    fired = [mark for mark in spec_of(collapsed, "vq.usage").marks if mark.kind == "firing"]
    assert {mark.label for mark in fired} >= {"collapse"}


@pytest.mark.parametrize("name", ["rolled back", "rolled back from"])
def test_a_rollback_is_a_mark_in_the_parent_and_in_the_child(tmp_path: Path, name: str) -> None:
    told = Event(sequence=9, time=NOON, step=200, severity="info", name=name, message="")
    view = view_of(tmp_path / "mine")
    marks = spec_of(attrs.evolve(view, events=(*view.events, told)), "lr").marks
    assert [(mark.kind, mark.x) for mark in marks if mark.kind == "rollback"] == [("rollback", 200)]


def test_smoothing_keeps_the_raw_values_behind_and_leaves_short_series_alone(tmp_path: Path) -> None:
    view = view_of(tmp_path / "mine")
    raw, smooth = spec_of(view, "grad.norm", Display(smoothing=2)).curves
    assert raw.is_band
    assert np.ptp(smooth.ys) < np.ptp(raw.ys)
    assert not any(curve.is_band for curve in spec_of(view, "val.retrieval.mrr", Display(smoothing=2)).curves)


@pytest.mark.parametrize(("axis", "end"), [("step", 400), ("epoch", 4), ("time", 40)])
def test_x_is_what_was_chosen(tmp_path: Path, axis: AxisKind, end: float) -> None:
    spec = spec_of(view_of(tmp_path / "mine"), "lr", Display(axis=axis))
    assert spec.curves[0].xs[-1] == pytest.approx(end)
    assert spec.integer_x == (axis == "step")


def test_the_baselines_run_is_a_dim_curve_up_to_the_same_epoch(tmp_path: Path) -> None:
    series = EpochSeries(epochs=(1.0, 2.0, 9.0), values=(3.0, 2.0, 1.0))
    baseline = BaselineValues(name="gentle", series={"loss.info_nce": series})
    spec = spec_of(attrs.evolve(view_of(tmp_path / "mine"), baseline=baseline), "loss.info_nce")
    assert [(curve.label, curve.tone, len(curve.xs)) for curve in spec.curves] == [
        ("gentle", "dim", 2),
        ("this run", "accent", 40),
    ]


def test_a_baselines_figure_is_a_line(tmp_path: Path) -> None:
    view = attrs.evolve(view_of(tmp_path / "mine"), baseline=BaselineValues(name="gentle", figures={"lr": 0.1}))
    assert [(t.label, t.y) for t in spec_of(view, "lr").thresholds] == [("gentle", 0.1)]


def test_an_unchanged_chart_is_the_same_object_and_a_grown_one_is_not(tmp_path: Path) -> None:
    specs = ChartSpecs()
    first = spec_of(view_of(tmp_path / "a"), "lr", specs=specs)
    assert spec_of(view_of(tmp_path / "b"), "lr", specs=specs) is first
    assert spec_of(view_of(tmp_path / "c", recorded=rows(500)), "lr", specs=specs) is not first
    assert spec_of(view_of(tmp_path / "d"), "lr", Display(log=frozenset({"lr"})), specs=specs) is not first


def test_several_runs_are_numbered_curves_in_one_chart(tmp_path: Path) -> None:
    views = [view_of(tmp_path / "a"), view_of(tmp_path / "b", recorded=rows(600))]
    display = Display()
    spec = ChartSpecs().spec(single("lr"), shown_runs(views, display), display, NO_TROUBLE)
    assert [(curve.label, curve.tone, len(curve.xs)) for curve in spec.curves] == [
        ("1", "accent", 40),
        ("2", "second", 60),
    ]
    assert spec.x_range == (0, 600)
    assert not spec.thresholds


def test_a_chart_in_trouble_has_a_coloured_frame_and_the_chosen_one_a_sign(tmp_path: Path) -> None:
    display = Display()
    runs = shown_runs([view_of(tmp_path / "mine")], display)
    spec = ChartSpecs().spec(single("lr"), runs, display, Trouble(0, 0), is_chosen=True)
    assert (spec.alert, spec.title) == ("bad", "▸ lr")


def test_a_term_that_is_always_zero_gets_no_chart_unless_asked_for(tmp_path: Path) -> None:
    view = view_of(tmp_path / "mine", change=lambda row: row | {"loss.quantizer": 0.0, "loss.sigreg": row["step"]})
    keys = [group.key for group in ChartChoice().choose([view], "").groups]
    assert "loss.sigreg" in keys
    assert "loss.quantizer" not in keys
    assert [group.key for group in ChartChoice().choose([view], "quant").groups] == ["loss.quantizer"]


def test_of_terms_with_a_single_value_those_that_are_not_zero_get_a_chart(tmp_path: Path) -> None:
    first = {**rows(10)[0], "loss.quantizer": 0.0, "loss.sigreg": 0.4}
    keys = [group.key for group in ChartChoice().choose([view_of(tmp_path / "a", recorded=[first])], "").groups]
    assert "loss.sigreg" in keys
    assert "loss.quantizer" not in keys
    choice = ChartChoice()
    choice.choose([view_of(tmp_path / "b", recorded=[first])], "")
    again = view_of(tmp_path / "c", recorded=[first, {**first, "step": 20}])
    assert "loss.sigreg" not in [group.key for group in choice.choose([again], "").groups]


def test_the_nearest_to_trouble_come_first(tmp_path: Path) -> None:
    view = with_outlooks(
        view_of(tmp_path / "mine"), outlook("abort", "fired", "lr"), outlook("must", "at risk", "grad.norm")
    )
    keys = [group.key for group in ChartChoice().choose([view], "").groups]
    assert keys[:3] == ["lr", "grad.norm", "val.retrieval.mrr"]


def test_a_run_without_rows_has_no_charts(tmp_path: Path) -> None:
    view = view_of(tmp_path / "mine", recorded=[])
    assert ChartChoice().choose([view], "").groups == ()
    assert shown_runs([view], Display()).whole == (0, 1)
    record(tmp_path / "other", [])


def test_a_sole_loss_beside_a_quantizer_that_is_none_has_validation_in_its_chart(tmp_path: Path) -> None:
    def one_loss(row: dict[str, float]) -> dict[str, float]:
        return {name: value for name, value in row.items() if name != "loss.relational"} | {"loss.quantizer": 0.0}

    groups = {group.key: group for group in ChartChoice().choose([view_of(tmp_path / "a", change=one_loss)], "").groups}
    assert groups["loss.info_nce"].names == ("loss.info_nce", "val.loss.total")
    assert "loss.total" not in groups
    several = ChartChoice().choose([view_of(tmp_path / "b")], "").groups
    assert "loss.total" in [group.key for group in several]


def test_a_slow_machine_marks_its_charts_and_moves_none(tmp_path: Path) -> None:
    speed, rank = "throughput.samples_per_second", "rank.target"
    view = view_of(tmp_path / "a", change=lambda row: row | {speed: 20.0 + row["step"]})
    usual, slow, collapsed = (
        ChartChoice().choose([with_outlooks(view, *outlooks)], "")
        for outlooks in (
            (),
            (outlook("scenario", "fired", speed, when=f"{speed} < 10"),),
            (outlook("scenario", "fired", rank, when=f"{rank} < 2"),),
        )
    )
    order = [group.key for group in usual.groups]
    assert speed in order[1:]
    assert [group.key for group in slow.groups] == order
    assert slow.troubles[speed].tone == "warning"
    assert slow.are_sorted
    assert collapsed.groups[0].key == "rank"
