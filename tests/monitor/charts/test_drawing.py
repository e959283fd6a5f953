"""Charts as they look, one grid of text each."""

from __future__ import annotations

from textwrap import dedent

import numpy as np
import pytest

from jepa_monitor.charts.drawing import draw_chart
from jepa_monitor.charts.look import Look
from jepa_monitor.charts.spec import ChartSpec, Curve, Floats, Mark, Threshold

STEPS = np.arange(101.0)
RAMP = STEPS / 100


def curve(ys: Floats, label: str = "a", *, is_band: bool = False) -> Curve:
    return Curve(label=label, xs=STEPS, ys=ys, is_band=is_band)


def assert_looks(spec: ChartSpec, expected: str, look: Look | None = None) -> None:
    """The size is that of the expected grid, whose lines are closed by a bar so that blanks at their ends are seen."""
    lines = [line.removesuffix("¦") for line in dedent(expected).strip("\n").splitlines()]
    assert draw_chart(spec, len(lines[0]), len(lines), look or Look()).text.splitlines() == lines


def test_a_linear_chart_has_ticks_a_title_and_the_newest_value() -> None:
    spec = ChartSpec(title="val.retrieval.mrr", figure="0.412", curves=(curve(RAMP),))
    expected = """
        ┌ val.retrieval.mrr ──────────── 0.412 ┐
        │  1.0                             ⢀⡠⠤⠒│
        │                              ⣠⠤⠒⠊⠁   │
        │                         ⣀⡤⠖⠊⠉        │
        │  0.5               ⣀⡠⠔⠚⠉             │
        │               ⢀⣠⠤⠒⠉⠁                 │
        │          ⢀⣀⠤⠖⠋⠁                      │
        │    0 ⣀⠤⠔⠚⠁                           │
        └────── 0 ─────────── 50 ───────── 100 ┘
    """
    assert_looks(spec, expected)


def test_a_log_chart_has_decades_and_counts_what_it_leaves_out() -> None:
    spec = ChartSpec(
        title="loss", figure="1e−3", log=True, curves=(curve(np.where(STEPS == 50, -1, 10.0 ** (-STEPS / 33))),)
    )
    expected = """
        ┌ loss  log ───────────── 1e−3 · 1 ≤ 0 ┐
        │    1 ⠒⠤⢄⣀                            │
        │         ⠈⠉⠒⠦⣄⡀                       │
        │  0.1         ⠈⠙⠒⠤⣄⡀                  │
        │                   ⠈⠉⠒⠤⣀⡀             │
        │ 0.01                   ⠈⠙⠒⠤⣄⡀        │
        │                             ⠈⠑⠲⠤⣀⡀   │
        │0.001                             ⠉⠑⠒⠤│
        └────── 0 ─────────── 50 ───────── 100 ┘
    """
    assert_looks(spec, expected)


def test_thresholds_are_drawn_where_they_hold_and_labelled_where_that_hides_nothing() -> None:
    spec = ChartSpec(
        title="vq.usage",
        figure="1.0 %",
        percent=True,
        alert="bad",
        curves=(curve(0.25 * (1 - RAMP) + 0.01),),
        thresholds=(
            Threshold(y=0.1, label="must 10 %", start=20.0, end=90.0),
            Threshold(y=0.05, label="abort 5 %", dashed=False, tone="bad"),
            Threshold(y=9.0, label="far"),
        ),
    )
    expected = """
        ┌ vq.usage ──────────────────────── 1.0 % ▲┐
        │      ⠒⠤⣀                         ↑ far   │
        │         ⠙⠒⠤⣀⡀                            │
        │ 20 %        ⠈⠑⠢⢄⣀                        │
        │                 ⠈⠙⠢⠤⣀                    │
        │                      ⠉⠒⠦⣄                │
        │ 10 %        ├┄ must 10 % ⠉⠒⠤⣄⡀┄┄┄┄┄┄┄┤   │
        │                              ⠉⠑⠢⢄⡀       │
        │      ───────────────── abort 5 % ⠈⠉⠒⠤⣀───│
        │  0 %                                  ⠉⠑⠢│
        └────── 0 ───────────── 50 ─────────── 100 ┘
    """
    assert_looks(spec, expected)


def test_a_limit_whose_window_has_hardly_begun_is_labelled_in_full() -> None:
    limit = Threshold(y=0.5, label="abort 4 %", start=92.0)
    spec = ChartSpec(title="vq.usage", curves=(curve(1 - RAMP),), thresholds=(limit,))
    assert " abort 4 % " in draw_chart(spec, 40, 10, Look()).text


def test_marks_stand_on_the_axis_not_a_number_is_a_gap_and_infinity_a_sign() -> None:
    spec = ChartSpec(
        title="t",
        curves=(curve(np.where((STEPS > 40) & (STEPS < 50), np.nan, np.where(STEPS == 80, np.inf, RAMP))),),
        marks=(
            Mark(x=10, kind="checkpoint"),
            Mark(x=33, kind="checkpoint"),
            Mark(x=60, kind="firing", label="B"),
            Mark(x=80, kind="non-finite"),
            Mark(x=95, kind="rollback"),
            Mark(x=101, kind="firing"),
        ),
    )
    expected = """
        ┌ t ───────────────────────────────────┐
        │  1.0                    ╎B    ∞ ⢀⣀⠤⠔⠚│
        │                         ╎  ⣀⡠⠴⠒⠊⠉  ╎ │
        │                      ⢀⣀⠤⠔⠊⠉⠁  ╎    ╎ │
        │  0.5            ⣀⡤   ⠁  ╎     ╎    ╎ │
        │           ⢀⣀⠤⠖⠚⠉        ╎     ╎    ╎ │
        │    0 ⣀⡠⠴⠒⠉⠁             ╎     ╎    ╎ │
        └────── 0 ·──────·─── 50 ─▲─────✘────↩─┘
    """
    assert_looks(spec, expected)


def test_the_crosshair_shows_the_values_at_its_x() -> None:
    spec = ChartSpec(title="t", figure="1", crosshair=30.2, curves=(curve(RAMP), curve(1 - RAMP, "b")))
    expected = """
        ┌ t  a ━  b ━ ──────── 30: 0.300 0.700 ┐
        │  1.0 ⠑⠒⠤⢤⣀⡀   │                ⢀⣀⡤⠤⠒⠊│
        │           ⠉⠉⠓⠲⠤⢄⣀        ⣀⡠⠤⠖⠚⠉⠉     │
        │  0.5          │  ⠉⣑⣒⠦⠴⣒⣊⠉            │
        │            ⢀⣀⡤⠤⠒⠚⠉⠁    ⠈⠉⠓⠒⠤⠤⣀⡀      │
        │    0 ⣀⣠⠤⠔⠒⠉⠁  │               ⠈⠉⠒⠢⠤⣄⣀│
        └────── 0 ─────────── 50 ───────── 100 ┘
    """
    assert_looks(spec, expected)


def test_several_curves_lie_over_one_another_with_a_legend() -> None:
    spec = ChartSpec(title="rank", figure="1 0", curves=(curve(RAMP, "context"), curve(1 - RAMP, "target")))
    expected = """
        ┌ rank  context ━  target ━ ────────── 1 0 ┐
        │  1.0 ⠑⠒⠢⠤⣀⣀                        ⣀⣀⠤⠔⠒⠊│
        │            ⠉⠉⠒⠒⠤⢤⣀⡀        ⢀⣀⡤⠤⠒⠒⠉⠉      │
        │  0.5              ⠈⠉⣓⣲⠦⠴⣖⣚⠉⠁             │
        │             ⢀⣀⡤⠤⠔⠒⠉⠉      ⠉⠉⠒⠢⠤⠤⣀⡀       │
        │    0 ⣀⣀⠤⠴⠒⠊⠉⠁                    ⠈⠉⠑⠒⠦⠤⣀⣀│
        └────── 0 ───────────── 50 ─────────── 100 ┘
    """
    assert_looks(spec, expected)


def test_without_colour_curves_have_letters() -> None:
    spec = ChartSpec(title="rank", figure="1 0", curves=(curve(RAMP, "context"), curve(1 - RAMP, "target")))
    expected = """
        ┌ rank  context A  target B ────────── 1 0 ┐
        │  1.0 ⠑⠒⠢⠤⣀B                        ⣀⣀A⠔⠒⠊│
        │            ⠉⠉⠒⠒⠤⢤⣀⡀        ⢀⣀⡤⠤⠒⠒⠉⠉      │
        │  0.5              ⠈⠉⣓A⠦⠴⣖⣚⠉⠁             │
        │             ⢀⣀⡤⠤⠔⠒⠉⠉      B⠉⠒⠢⠤⠤⣀⡀       │
        │    0 A⣀⠤⠴⠒⠊⠉⠁                    ⠈⠉⠑⠒⠦⠤⣀⣀│
        └────── 0 ───────────── 50 ─────────── 100 ┘
    """
    assert_looks(spec, expected, Look(no_colour=True))


def test_a_legend_without_room_in_the_title_goes_below_it() -> None:
    spec = ChartSpec(
        title="rank", figure="1 0", curves=tuple(curve(RAMP + run, f"optimized-{run}") for run in range(4))
    )
    expected = """
        ┌ rank ───────────────────── 1 0 ┐
        │      optimized-0 ━             │
        │      optimized-1 ━  +2         │
        │    4         ⢀⣀⣀⣀⣀⣀⠤⠤⠤⠤⠤⠔⠒⠒⠒⠒⠚⠉│
        │      ⠒⠒⠒⠉⠉⠉⠉⠉⠁    ⣀⣀⣀⣀⣀⡤⠤⠤⠤⠤⠴⠒⠒│
        │    2 ⠤⠤⠒⠒⠒⠒⠒⠊⠉⠉⠉⠉⠉    ⣀⣀⣀⣀⣀⣠⠤⠤⠤│
        │      ⣀⠤⠤⠤⠤⠤⠔⠒⠒⠒⠒⠚⠉⠉⠉⠉⠉⠁   ⢀⣀⣀⣀⣀│
        │    0 ⣀⣀⣀⣀⣀⡤⠤⠤⠤⠤⠴⠒⠒⠒⠒⠒⠋⠉⠉⠉⠉⠉    │
        └────── 0 ──────── 50 ────── 100 ┘
    """
    assert_looks(spec, expected)


def test_ascii_charts_have_ascii_alone() -> None:
    spec = ChartSpec(
        title="val.μ",
        figure="0.4 · τ",
        alert="warning",
        curves=(curve(RAMP),),
        thresholds=(Threshold(y=0.5, label="must ≥ 0.5"), Threshold(y=0.2, label="abort", dashed=False)),
        marks=(Mark(x=60, kind="firing"),),
    )
    expected = """
        + val.? --------------------- 0.4 - t !+
        |  1.0                    :        ..:^|
        |                         :    .:-''   |
        |                         .:-^'        |
        |  0.5  - must >=0.5 ..-^': - - - - - -|
        |               ..-^''    :            |
        |      ====..:-''=========:=== abort ==|
        |    0 .:-''              :            |
        +------ 0 ----------- 50 -!------- 100 +
    """
    assert_looks(spec, expected, Look(ascii=True))


def test_a_far_outlier_is_cut_off_with_an_arrow() -> None:
    spec = ChartSpec(title="grad", curves=(curve(np.where(STEPS == 50, 1e6, 1 + RAMP)),))
    expected = """
        ┌ grad ──────────────────────┐
        │  2.0           ↑          ⣀│
        │                ⢸  ⢀⣀⡠⠤⠖⠒⠋⠉ │
        │  1.5       ⣀⣀⠤⠤⠚⠚⠉⠉        │
        │  1.0 ⣠⠤⠔⠒⠊⠉⠁               │
        └────── 0 ────────────── 100 ┘
    """
    assert_looks(spec, expected)


def test_a_chart_without_values_says_so() -> None:
    spec = ChartSpec(title="lr")
    expected = """
        ┌ lr ──────────────────┐
        │                      │
        │     no value yet     │
        │                      │
        └──────────────────────┘
    """
    assert_looks(spec, expected)


def test_small_charts_do_without_labels() -> None:
    spec = ChartSpec(title="loss", figure="0.4", curves=(curve(RAMP),))
    expected = """
        ┌ loss ─────── 0.4 ┐
        │            ⢀⣀⠤⠔⠒⠋│
        │      ⣀⣠⠤⠖⠚⠉⠁     │
        │⣀⡠⠤⠖⠚⠉⠁           │
        └ 0 ────────── 100 ┘
    """
    assert_looks(spec, expected)


def test_smaller_ones_without_a_frame() -> None:
    spec = ChartSpec(title="loss", figure="0.4", curves=(curve(RAMP),))
    expected = """
        loss    0.4
               ⢀⡠⠔⠊¦
           ⢀⣠⠴⠚⠉   ¦
        ⣠⠴⠚⠉       ¦
    """
    assert_looks(spec, expected)


def test_a_single_row_is_title_and_value() -> None:
    spec = ChartSpec(title="val.loss.total", figure="0.4", alert="bad", curves=(curve(RAMP),))
    expected = """
        val.loss.tot…  0.4 ▲
    """
    assert_looks(spec, expected)


def test_a_zoomed_chart_shows_the_line_that_runs_through_it() -> None:
    spec = ChartSpec(title="t", x_range=(40.2, 40.8), is_zoomed=True, integer_x=False, curves=(curve(RAMP),))
    expected = """
        ┌ t ─────────────────────────────┐
        │                       ⢀⣀⣀⠤⠤⠒⠒⠊⠉│
        │0.405         ⢀⣀⡠⠤⠤⠒⠒⠊⠉⠁        │
        │      ⣀⡠⠤⠤⠒⠒⠉⠉⠁                 │
        └──────────────── 40.5 ──────────┘
    """
    assert_looks(spec, expected)


def test_a_curve_that_hardly_moves_looks_so_until_somebody_zooms_in() -> None:
    slow = 2.3 + RAMP / 30
    expected = """
        ┌ t ─────────────────────────────┐
        │ 2.35                           │
        │                   ⣀⣀⣀⣀⣀⣀⠤⠤⠤⠤⠤⠤⠖│
        │ 2.30 ⠴⠒⠒⠒⠒⠒⠒⠉⠉⠉⠉⠉⠉             │
        │                                │
        └────── 0 ──────── 50 ────── 100 ┘
    """
    assert_looks(ChartSpec(title="t", curves=(curve(slow),)), expected)
    zoomed = """
        ┌ t ─────────────────────────────┐
        │                          ⣀⣠⠤⠔⠒⠋│
        │ 2.32              ⣀⣠⠤⠔⠒⠋⠉      │
        │           ⢀⣀⣠⠤⠔⠒⠋⠉             │
        │ 2.30 ⣠⠤⠔⠒⠋⠉                    │
        └────── 0 ──────── 50 ────── 100 ┘
    """
    assert_looks(ChartSpec(title="t", curves=(curve(slow),), is_zoomed=True), zoomed)


@pytest.mark.parametrize("size", [1e-7, 3e-5, 0.0021, 0.0196, 0.47, 0.96, 7.2, 333.3, 12_345.0, 4e9])
@pytest.mark.parametrize("growth", [1.0, 1.004, 1.03, 1.2, 3.0, 50.0])
@pytest.mark.parametrize("log", [False, True])
def test_whatever_the_values_the_axis_says_how_large_they_are(size: float, growth: float, log: bool) -> None:
    values = size * (1 + (growth - 1) * RAMP)
    for height in (6, 12, 20):
        rows = draw_chart(ChartSpec(title="t", log=log, curves=(curve(values),)), 40, height, Look()).text.splitlines()
        assert any(row[1:6].strip() for row in rows[1:-1]), "\n".join(rows)


def test_lone_points_are_enlarged() -> None:
    spec = ChartSpec(title="t", curves=(curve(np.where(STEPS % 25 == 0, 1 + RAMP, np.nan)),))
    expected = """
        ┌ t ─────────────────────────────┐
        │  2.0                    ⣀     ⠉│
        │  1.5              ⣤     ⠉      │
        │            ⣤                   │
        │  1.0 ⣤                         │
        └────── 0 ──────── 50 ────── 100 ┘
    """
    assert_looks(spec, expected)
