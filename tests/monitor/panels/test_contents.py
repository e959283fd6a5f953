from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import attrs
import pytest

from jepa_core.run_directory.events import Event
from jepa_core.run_directory.status import Status
from jepa_core.watch.nulls import NullFigures, RankedNulls
from jepa_monitor.charts.look import Look
from jepa_monitor.panels.codes import codes_content
from jepa_monitor.panels.console import console_content
from jepa_monitor.panels.context_use import Bounds, context_use_content, temperature_bounds
from jepa_monitor.panels.events import events_content
from jepa_monitor.panels.losses import loss_shares, losses_content
from jepa_monitor.panels.machine import GpuReading, MachineReading
from jepa_monitor.panels.recorded import perplexity
from jepa_monitor.panels.retrieval import retrieval_content
from jepa_monitor.panels.spectrum import spectrum_content
from jepa_monitor.panels.system import gpu_text, is_visible_from_here, system_content
from tests.monitor.panels.views import DIAGNOSIS, EVENTS, FINALS, NOON, a_view, text_of

LOOK = Look()
PLAIN = Look(ascii=True, no_colour=True)


def finals(**changes: float) -> dict[str, float]:
    return {**FINALS, **{name.replace("__", "."): value for name, value in changes.items()}}


def diagnosed(**changes: Any) -> dict[str, Any]:
    return {**DIAGNOSIS, **changes}


def test_codes_in_use_dead_codes_and_perplexity_are_shown() -> None:
    content = codes_content(a_view(), 42, 4, LOOK)
    assert content.title.text == "6 of 8 in use, 2 dead"
    assert text_of(content).splitlines() == ["█×▆▅×▄▃▃", "perplexity 2.64 of 8   busiest code 71.4 %"]
    narrow = codes_content(a_view(), 41, 4, LOOK)
    assert text_of(narrow).splitlines()[1] == "perplexity 2.64 of 8"


def test_a_large_codebook_fills_the_rows_that_there_are() -> None:
    content = codes_content(a_view(diagnosis={"code_counts": [1] * 768}), 50, 5, LOOK)
    assert [row.width for row in content.lines[:4]] == [50] * 4
    assert len(content.lines) == 5
    assert content.title.text == "768 of 768 in use"
    assert content.lines[4].text == "perplexity 768.0 of 768   4 codes a cell"
    narrow = codes_content(a_view(diagnosis={"code_counts": [1] * 768}), 36, 5, LOOK)
    assert narrow.lines[4].text == "perplexity 768.0   5 codes a cell"


def test_a_run_without_a_codebook_says_so() -> None:
    view = a_view(diagnosis={"spectrum": {}}, recipe={"quantizer": {"kind": "none"}})
    assert text_of(codes_content(view, 40, 4, LOOK)) == "No codebook: the quantizer is none."
    assert text_of(codes_content(a_view(diagnosis={}), 40, 4, LOOK)).startswith("no diagnosis yet: the run is starting")


def test_the_spectrum_has_both_effective_ranks() -> None:
    content = spectrum_content(a_view(), 50, 5, LOOK)
    assert len(content.lines) == 5
    assert content.lines[-1].text == "effective rank  ▅ context 3.36  ━ target 4"
    assert content.alert is None


def test_a_spectrum_that_is_not_finite_is_in_alert() -> None:
    spectra = {"context": ["nan", "nan"], "target": [0.5, 0.5]}
    content = spectrum_content(a_view(diagnosis=diagnosed(spectrum=spectra)), 50, 5, LOOK)
    assert content.alert == "bad"
    assert content.figure.text == "not finite"


def test_perplexity_is_the_number_of_weights_that_count_evenly() -> None:
    assert perplexity((2.0, 2.0, 2.0, 2.0, 0.0)) == pytest.approx(4)
    assert perplexity((5.0,)) == 1
    for empty in ((), (0.0,), (math.nan, 1.0), (math.inf, 1.0), (1e308, 1e308, 1e308)):
        assert math.isnan(perplexity(empty))


def test_each_loss_has_its_share_of_the_total_and_of_the_gradient() -> None:
    shares = {share.name: share for share in loss_shares(FINALS)}
    assert (shares["info_nce"].of_total, shares["info_nce"].of_gradient) == (0.8, 0.9)
    assert (shares["relational"].of_total, shares["relational"].of_gradient) == (0.2, 0.1)
    assert text_of(losses_content(a_view(), 60, PLAIN)).splitlines() == [
        "                total                gradient",
        "info_nce    4  80.0 %  ##########..    90.0 %  ###########.",
        "relational  1  20.0 %  ##..........    10.0 %  #...........",
    ]


def test_a_loss_that_is_not_finite_stands_on_top_and_makes_no_share_up() -> None:
    content = losses_content(a_view(finals=finals(loss__relational=math.nan)), 60, LOOK)
    assert content.alert == "bad"
    assert content.lines[1].text.startswith("relational  nan      –")


def test_a_loss_that_is_zero_and_moves_nothing_is_left_out() -> None:
    assert [share.name for share in loss_shares({"loss.a": 1.0, "loss.quantizer": 0.0})] == ["a"]


def test_before_the_first_diagnosis_there_is_no_column_of_gradients() -> None:
    header, row = losses_content(a_view(finals={"loss.a": 1.0}), 60, LOOK).lines
    assert header.text.split() == ["total"]
    assert row.text.split() == ["a", "1", "100.0", "%", "█" * 45]


def test_shares_of_the_gradient_are_whole_in_the_narrowest_panel() -> None:
    finals = {"loss.view_contrast": 3.91, "loss.info_nce": 3.41}
    finals |= {"grad.share.view_contrast": 0.308, "grad.share.info_nce": 0.692}
    lines = losses_content(a_view(finals=finals), 36, LOOK).lines
    assert [each.text.split() for each in lines] == [
        ["total", "grad"],
        ["view_contrast", "3.91", "53.4", "%", "30.8", "%"],
        ["info_nce", "3.41", "46.6", "%", "69.2", "%"],
    ]
    assert max(each.width for each in lines) <= 36


def test_use_of_the_context_as_a_text_grid() -> None:
    assert text_of(context_use_content(a_view(), 50, PLAIN)).splitlines() == [
        "temperature        0.068  [--*-------------------]",
        "                          0.05                 0.2",
        "order sensitivity  0.420",
        "attention entropy  0.850  ####################....",
        "weight t−3         0.250  ######..................",
        "weight t−2         0.450  ###########.............",
        "weight t−1         0.300  #######.................",
    ]


@pytest.mark.parametrize(("value", "words"), [(0.05, "at its lower bound"), (0.2, "at its upper bound")])
def test_a_temperature_at_a_bound_is_said(value: float, words: str) -> None:
    assert words in text_of(context_use_content(a_view(finals=finals(temperature=value)), 60, LOOK))


def test_an_order_that_plays_no_part_and_uniform_weights_are_said() -> None:
    view = a_view(finals=finals(order__sensitivity=0.0, attention__entropy=0.999))
    text = text_of(context_use_content(view, 60, LOOK))
    assert "▲ the order plays no part" in text
    assert "▲ as uniform as a mean" in text


@pytest.mark.parametrize("losses", [{}, {"a": {"weight": 1.0}}, {"a": "text"}, "text", {"a": {"temperature_min": "x"}}])
def test_without_bounds_in_the_recipe_the_temperature_has_none(losses: Any) -> None:
    assert temperature_bounds({"losses": losses}) is None


def test_the_bounds_are_those_of_the_loss_that_has_them() -> None:
    assert temperature_bounds(a_view().recipe) == Bounds(low=0.05, high=0.2)


def test_retrieval_stands_beside_the_strongest_null() -> None:
    content = retrieval_content(a_view(), 50, PLAIN)
    assert content.figure.text == "+ above equal cells"
    assert text_of(content).splitlines() == [
        "MRR             0.412  ########............  +19 %",
        "  equal cells   0.346  #######.............",
        "top-1          31.0 %  ######..............  +4 %",
        "  equal cells  29.7 %  ######..............",
    ]


def test_retrieval_below_the_strongest_null_is_marked() -> None:
    content = retrieval_content(a_view(finals=finals(val__retrieval__mrr=0.2)), 60, LOOK)
    assert content.figure.text == "▲ not above equal cells"
    assert "−42 %" in text_of(content)


def test_without_a_recorded_count_of_cells_nothing_is_compared() -> None:
    content = retrieval_content(a_view(finals={"val.retrieval.mrr": 0.4, "retrieval.mrr": 0.5}), 60, LOOK)
    assert content.figure.text == ""
    assert text_of(content).splitlines()[-1] == "within the batch  MRR 0.500"


NULLS = RankedNulls(
    figures=(
        NullFigures(name="pair_analogy", mrr=0.4, top1=0.3, hard_mrr=0.5),
        NullFigures(name="equal_cells", mrr=0.3, top1=0.2, hard_mrr=0.6),
    ),
    strongest_hard="equal_cells",
    disabled=("palette_and_size",),
)


def beside_nulls(**changes: float) -> Mapping[str, float]:
    above = {"above_null": 0.012, "above_null_low": -0.003, "above_null_high": 0.027, "candidates": 998.0}
    hard = {"val.hard.mrr": 0.66, "val.hard.blind_mrr": 0.17, "val.hard.medoid_mrr": 0.21, "val.hard.chance_mrr": 0.18}
    return {"val.retrieval.mrr": 0.412, **{f"val.retrieval.{name}": above[name] for name in above}, **hard, **changes}


def test_near_copies_stand_beside_the_null_that_is_strongest_there_with_their_controls() -> None:
    content = retrieval_content(a_view(finals=beside_nulls(), environment=NULLS.to_environment()), 60, PLAIN)
    assert [" ".join(row.replace("#", "").split()) for row in text_of(content).replace("..", "").splitlines()] == [
        "difference +0.012 [−0.003, 0.027]",
        "MRR 0.412 +3 %",
        "pair analogy 0.400",
        "near copies 0.660 +10 %",
        "equal cells 0.600",
        "blind 0.170 · medoid 0.210",
        "chance 0.180",
        "candidates 998",
        "switched off palette and size",
    ]


def test_above_is_above_beyond_chance_alone() -> None:
    environment = NULLS.to_environment()
    assert retrieval_content(a_view(finals=beside_nulls(), environment=environment), 60, PLAIN).figure.text == (
        "! not above pair analogy"
    )
    finals = beside_nulls(**{"val.retrieval.above_null_low": 0.001})
    content = retrieval_content(a_view(finals=finals, environment=environment), 60, PLAIN)
    assert content.figure.text == "+ above pair analogy"


@pytest.mark.parametrize(
    ("few", "told"),
    [
        ({"candidates": 19.0}, "19 candidates"),
        ({"candidates": 1.0, "tasks": 1.0}, "1 candidate"),
        ({"tasks": 9.0}, "9 tasks"),
    ],
)
def test_on_a_validation_too_small_for_a_verdict_nothing_is_judged(few: Mapping[str, float], told: str) -> None:
    finals = beside_nulls(**{f"val.retrieval.{name}": number for name, number in few.items()})
    with_difference = {**finals, "val.retrieval.above_null_low": 0.001}
    without = {name: value for name, value in finals.items() if "above_null" not in name}
    for each in (with_difference, without):
        content = retrieval_content(a_view(finals=each, environment=NULLS.to_environment()), 60, LOOK)
        assert content.figure.text == "too few for a verdict"
        assert f"▲ {told}: too few for a verdict" in text_of(content)


def test_where_no_difference_was_measured_the_mean_marks_nothing_as_above() -> None:
    finals = {name: value for name, value in beside_nulls().items() if "above_null" not in name}
    content = retrieval_content(a_view(finals=finals, environment=NULLS.to_environment()), 60, LOOK)
    assert content.figure.text == "not compared with any null"


def test_a_control_above_chance_makes_near_copies_void() -> None:
    text = text_of(retrieval_content(a_view(finals=beside_nulls(**{"val.hard.medoid_mrr": 0.97})), 60, LOOK))
    assert "▲ near copies are void: medoid is above chance" in text
    assert "blind is above" not in text


def test_a_context_that_serves_no_better_than_anothers_is_said() -> None:
    text = text_of(context_use_content(a_view(finals=beside_nulls()), 60, LOOK))
    assert "near copies  0.660" in text
    assert "  blind      0.170" in text
    assert "does as well" not in text
    text = text_of(context_use_content(a_view(finals=beside_nulls(**{"val.hard.mrr": 0.17})), 60, LOOK))
    assert "▲ another sequence's context does as well" in text


def test_where_no_null_fits_the_panel_says_so() -> None:
    view = a_view(finals=beside_nulls(), environment=RankedNulls().to_environment())
    assert retrieval_content(view, 60, PLAIN).figure.text == "no null fits this data"


GPU = GpuReading(
    index=0,
    name="NVIDIA H200",
    use=0.91,
    memory_used_gib=40.0,
    memory_total_gib=139.8,
    power_w=412.0,
    power_limit_w=700.0,
)
READING = MachineReading(
    gpus=(GPU, attrs.evolve(GPU, index=1, name="NVIDIA A", holds_run=True)),
    processor_use=0.5,
    num_cores=16,
    load=3.25,
    memory_used_gib=12.0,
    memory_total_gib=128.0,
)


def test_the_machine_and_the_speed_of_the_run_as_a_text_grid() -> None:
    content = system_content(a_view(), 60, PLAIN, attrs.evolve(READING, gpus=(GPU,)), "box")
    assert content.figure.text == "H200 91 % 412 W"
    assert text_of(content).splitlines() == [
        "GPU 0               91 %  #############.  NVIDIA H200",
        "  memory        40.0 GiB  ####..........  of 139.8 GiB",
        "  power            412 W  ########......  of 700 W",
        "processor           50 %  #######.......  16 cores, load 3.2",
        "memory          12.0 GiB  #.............  of 128.0 GiB",
        "samples/s         64,120",
        "step              200 ms",
        "  drawing data     10 ms  #.............  5 % of a step",
        "  computing       190 ms  #############.  95 % of a step",
        "peak on device  11.5 GiB",
    ]


def test_the_gpu_that_holds_the_run_is_shown_and_all_where_that_cannot_be_told() -> None:
    assert [gpu.index for gpu in READING.gpus_of_run] == [1]
    assert [gpu.index for gpu in attrs.evolve(READING, gpus=(GPU, GPU)).gpus_of_run] == [0, 0]
    assert gpu_text(READING) == "A 91 % 412 W"
    assert gpu_text(None) == gpu_text(MachineReading()) == ""


def test_what_a_gpu_does_not_tell_is_a_dash() -> None:
    bare = MachineReading(gpus=(GpuReading(index=0, name="GPU"),))
    assert text_of(system_content(a_view(), 60, LOOK, bare, "box")).splitlines()[0].split() == ["GPU", "0", "–", "GPU"]


@pytest.mark.parametrize(
    ("changes", "host", "words"),
    [
        ({}, "elsewhere", "the run is on box, the monitor elsewhere"),
        ({"state": "finished"}, "box", "not running: no figures of the machine"),
        ({"status": None}, "box", "not running: no figures of the machine"),
        ({"replay_position": "×20"}, "box", "a replay: the machine is not what it was"),
        ({}, "box", "reading the machine …"),
    ],
)
def test_an_absence_of_figures_is_said_calmly(changes: dict[str, Any], host: str, words: str) -> None:
    assert text_of(system_content(a_view(**changes), 60, LOOK, None, host)).splitlines()[-1] == words


def test_a_host_without_a_gpu_is_said_calmly() -> None:
    reading = MachineReading(why_no_gpu="no GPU figures: NVML Shared Library Not Found")
    text = text_of(system_content(a_view(), 60, LOOK, reading, "box"))
    assert text.endswith("no GPU figures: NVML Shared Library Not Found")


def test_the_machine_says_something_of_a_living_run_on_this_host_alone() -> None:
    assert is_visible_from_here(a_view(), "box")
    assert not is_visible_from_here(a_view(), "elsewhere")
    assert not is_visible_from_here(a_view(state="crashed"), "box")
    assert not is_visible_from_here(a_view(status=None), "box")
    assert not is_visible_from_here(a_view(replay_position="×20"), "box")
    assert not is_visible_from_here(a_view(status=Status(host="")), "box")


def test_events_have_time_mark_name_step_and_message() -> None:
    lines = text_of(events_content(a_view(), 100, LOOK)).splitlines()
    assert [row[8:] for row in lines] == [
        " · started  step 0  Training starts: 1,440 steps.",
        " · Checkpoint at step 600.",
        " ▲ rollback B  step 640  relational loss near zero: loss.relational < 0.01, value 0.004, limit 0.01",
    ]


def test_a_step_that_the_message_says_is_not_said_twice_however_large_it_is() -> None:
    event = attrs.evolve(EVENTS[1], step=1572.0, message="Checkpoint at step 1572.")
    assert text_of(events_content(a_view(events=(event,)), 100, LOOK))[8:] == " · Checkpoint at step 1572."


def test_severities_are_told_by_marks_in_ascii_too() -> None:
    events = tuple(attrs.evolve(EVENTS[1], severity=severity) for severity in ("info", "warning", "critical"))
    assert [row.text[6] for row in events_content(a_view(events=events), 40, PLAIN).lines] == [".", "!", "x"]


def test_no_message_is_cut_where_all_events_have_room() -> None:
    cut = events_content(a_view(), 36, LOOK, height=3)
    assert len(cut.lines) == 3
    assert max(row.width for row in cut.lines) > 36
    whole = [row.text for row in events_content(a_view(), 36, LOOK, height=12).lines]
    assert max(map(len, whole)) <= 36
    said = "relational loss near zero: loss.relational < 0.01, value 0.004, limit 0.01"
    assert said in " ".join(" ".join(whole).split())
    assert whole[-2].startswith(" " * 8)


def test_acknowledged_events_are_dim() -> None:
    content = events_content(a_view(), 100, LOOK, {"rollback B@640"})
    assert {span.tone for span in content.lines[2].spans} == {"dim"}
    assert {span.tone for span in content.lines[1].spans} != {"dim"}


def test_only_the_events_that_are_looked_at_are_drawn() -> None:
    events = tuple(Event(sequence=index, time=NOON, name=f"event {index}") for index in range(100_000))
    content = events_content(a_view(events=events), 100, LOOK)
    assert len(content.lines) == 100_000
    assert content.lines[99_999].text.endswith("event 99999")
    assert [row.text[-8:] for row in content.lines[5:7]] == [" event 5", " event 6"]


def test_console_lines_are_clean_with_tabs_as_blanks() -> None:
    content = console_content(a_view(console=("a\tb", "\x1b[31mred\x1b[0m", "trailing   ")), 40, LOOK)
    assert [row.text for row in content.lines] == ["a    b", "␛[31mred␛[0m", "trailing"]


def test_a_console_line_that_is_too_long_goes_on_below_and_loses_no_word() -> None:
    printed = "  rolled back  " + " ".join(f"word{index}" for index in range(30))
    rows = [row.text for row in console_content(a_view(console=(printed, "short")), 40, LOOK).lines]
    assert rows[0].startswith("  rolled back  word0 ")
    assert rows[1].startswith("    word")
    assert rows[-1] == "short"
    assert max(map(len, rows)) <= 40
    assert " ".join(" ".join(rows[:-1]).split()) == " ".join(printed.split())


@pytest.mark.parametrize("width", [1, 8, 20, 38, 79, 200])
@pytest.mark.parametrize("look", [LOOK, PLAIN])
def test_every_panel_can_be_drawn_at_any_size_with_and_without_figures(width: int, look: Look) -> None:
    for view in (a_view(), a_view(finals={}, diagnosis={}, events=(), console=(), recipe={}, status=None)):
        for height in (1, 2, 7):
            assert codes_content(view, width, height, look).lines
            assert spectrum_content(view, width, height, look).lines
        for content in (
            losses_content(view, width, look),
            context_use_content(view, width, look),
            retrieval_content(view, width, look),
            system_content(view, width, look, READING, "box"),
            events_content(view, width, look),
            console_content(view, width, look),
        ):
            assert len(content.lines) > 0


@pytest.mark.parametrize(
    "diagnosis",
    [
        {"code_counts": "many", "spectrum": [1, 2], "time_weights": {"a": 1}},
        {"code_counts": [None, "nan", -1, 1e400, True], "spectrum": {"context": None, "target": ["inf", "x"]}},
        {"code_counts": [], "spectrum": {"context": [], "target": []}, "time_weights": []},
        {"code_counts": [10**400], "spectrum": {"context": [-1.0], "target": [0.0]}, "time_weights": ["nan", None]},
    ],
)
def test_a_damaged_diagnosis_harms_nothing(diagnosis: dict[str, Any]) -> None:
    view = a_view(diagnosis=diagnosis)
    for content in (codes_content(view, 40, 5, LOOK), spectrum_content(view, 40, 5, LOOK)):
        assert content.lines
    assert context_use_content(view, 40, LOOK).lines
