"""How the machine and the run's speed have gone."""

from __future__ import annotations

from pathlib import Path

import attrs

from jepa_monitor.charts.look import Look
from jepa_monitor.panels.machine import GpuReading, MachineReading
from jepa_monitor.panels.system import system_content
from jepa_monitor.panels.system_history import PastReading
from tests.monitor.panels.views import text_of
from tests.monitor.views import view_of

GPU = GpuReading(index=0, name="H200", use=0.9, memory_used_gib=11.0, memory_total_gib=140.0, power_w=400.0)


def reading(use: float) -> MachineReading:
    return MachineReading(
        gpus=(GPU,), why_no_gpu="", processor_use=use, num_cores=2, load=1.0, memory_used_gib=3.0, memory_total_gib=24.0
    )


def test_speed_processor_and_gpu_have_charts_where_there_is_room(tmp_path: Path) -> None:
    view = view_of(tmp_path / "mine")
    past = [PastReading(2.0 * moment, reading(moment / 20)) for moment in range(10)]
    content = system_content(view, 140, Look(), past[-1].reading, past=past, height=60)
    text = text_of(content)
    for words in (
        "samples/s by step",
        "ms of a step",
        "GPU 0, last 18.0 s",
        "GPU 0 power, last",
        "processor, last 18.0 s",
    ):
        assert words in text
    assert len(content.lines) <= 60
    assert all(row.width <= 140 for row in content.lines)
    low = text_of(system_content(view, 60, Look(), past[-1].reading, past=past, height=12))
    assert "samples/s by step" not in low


def test_charts_stand_in_rows_of_about_as_many(tmp_path: Path) -> None:
    without_gpu = attrs.evolve(reading(0.5), gpus=())
    past = [PastReading(2.0 * moment, without_gpu) for moment in range(10)]
    rows = text_of(
        system_content(view_of(tmp_path / "mine"), 196, Look(), without_gpu, past=past, height=46)
    ).splitlines()
    assert [row.count("┌") for row in rows if "┌" in row] == [2, 2]


def test_the_time_of_a_step_is_split(tmp_path: Path) -> None:
    split = {"time.step": 0.1, "time.data": 0.02, "time.wait": 0.01}
    view = view_of(tmp_path / "mine", change=lambda row: row | split)
    rows = text_of(system_content(view, 100, Look(), None)).splitlines()
    told = {row.split()[0]: row for row in rows if row.startswith("  ")}
    assert "20 % of a step" in told["drawing"]
    assert "10 % of a step" in told["waiting"]
    assert "70 % of a step" in told["computing"]


def test_use_and_memory_are_drawn_between_nothing_and_all_there_is(tmp_path: Path) -> None:
    view = view_of(tmp_path / "mine")
    past = [PastReading(2.0 * moment, reading(0.98)) for moment in range(10)]
    text = text_of(system_content(view, 140, Look(), past[-1].reading, past=past, height=60))
    assert "102 %" not in text
    assert "│  0 %" in text
    assert "│  100 " in text
