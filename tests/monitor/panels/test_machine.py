from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from jepa_monitor.panels.machine import GIB, GpuReading, Machine

MEMINFO = "MemTotal:       16777216 kB\nMemFree:         1048576 kB\nMemAvailable:    4194304 kB\n"


def proc(folder: Path, stat: str, meminfo: str = MEMINFO) -> Path:
    (folder / "stat").write_text(stat)
    (folder / "meminfo").write_text(meminfo)
    return folder


def test_memory_in_use_is_what_is_not_available(tmp_path: Path) -> None:
    reading = Machine(proc(tmp_path, "")).read()
    assert (reading.memory_used_gib, reading.memory_total_gib) == (12.0, 16.0)


def test_processor_use_is_the_share_of_ticks_not_idle_since_the_reading_before(tmp_path: Path) -> None:
    machine = Machine(proc(tmp_path, "cpu  100 0 100 700 100 0 0 0 50 0\ncpu0 1 2 3\n"))
    assert machine.read().processor_use is None
    proc(tmp_path, "cpu  160 0 115 720 105 0 0 0 90 0\n")
    # 75 of 100 ticks were busy; waiting for a disk is idle, and a guest's ticks are the user's already.
    assert machine.read().processor_use == pytest.approx(0.75)
    assert machine.read().processor_use is None


@pytest.mark.parametrize("text", ["", "cpu", "cpu a b c d e", "\0", "intr 1 2"])
def test_what_cannot_be_read_is_left_out(tmp_path: Path, text: str) -> None:
    reading = Machine(proc(tmp_path, text, meminfo=text)).read()
    assert reading.processor_use is None
    assert reading.memory_used_gib is None


def test_a_host_without_proc_is_no_error(tmp_path: Path) -> None:
    reading = Machine(tmp_path / "nothing").read()
    assert reading.processor_use is None
    assert reading.memory_total_gib is None
    assert reading.num_cores >= 1


def test_without_a_gpu_the_reason_is_said_and_nvml_is_not_asked_again(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    first, second = machine.read(), machine.read(pid=1)
    if first.gpus:
        pytest.skip("this host has a GPU")
    assert first.why_no_gpu
    assert second.why_no_gpu == first.why_no_gpu


TWO_GPUS = SimpleNamespace(
    nvmlDeviceGetCount=lambda: 2,
    nvmlDeviceGetHandleByIndex=lambda index: index,
    nvmlDeviceGetName=lambda gpu: ["NVIDIA H200", b"old \xff"][gpu],
    nvmlDeviceGetMemoryInfo=lambda gpu: SimpleNamespace(used=2 * GIB, total=[140 * GIB][gpu]),
    nvmlDeviceGetUtilizationRates=lambda gpu: [SimpleNamespace(gpu=91)][gpu],
    nvmlDeviceGetPowerUsage=lambda gpu: [412_000][gpu],
    nvmlDeviceGetEnforcedPowerLimit=lambda gpu: [700_000][gpu],
    nvmlDeviceGetComputeRunningProcesses=lambda gpu: [[SimpleNamespace(pid=7)]][gpu],
)
"""NVML of a host with two GPUs, of which the second tells next to nothing."""


def test_each_gpu_tells_what_it_can_and_the_one_that_holds_the_run_is_known(tmp_path: Path) -> None:
    reading = Machine(tmp_path, lambda: TWO_GPUS).read(pid=7)
    assert reading.gpus == (
        GpuReading(
            index=0,
            name="NVIDIA H200",
            use=0.91,
            memory_used_gib=2.0,
            memory_total_gib=140.0,
            power_w=412.0,
            power_limit_w=700.0,
            holds_run=True,
        ),
        GpuReading(index=1, name="old \N{REPLACEMENT CHARACTER}"),
    )
    assert reading.why_no_gpu == ""
