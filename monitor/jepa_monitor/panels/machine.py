"""Reading the machine that the monitor runs on: GPUs by NVML, processor and memory by /proc. Made for a worker thread.

Knows nothing of runs or widgets.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import attrs

GIB = 1 << 30


@attrs.frozen(kw_only=True)
class GpuReading:
    """One GPU; None for what it does not tell."""

    index: int
    name: str
    use: float | None = None
    """Share of the time in which a kernel ran."""
    memory_used_gib: float | None = None
    memory_total_gib: float | None = None
    power_w: float | None = None
    power_limit_w: float | None = None
    holds_run: bool = False
    """Whether the run's process is on it; never, where processes are not visible from here."""


@attrs.frozen(kw_only=True)
class MachineReading:
    """The machine at one moment."""

    gpus: tuple[GpuReading, ...] = ()
    why_no_gpu: str = ""
    """In words, where there is none to be read."""
    processor_use: float | None = None
    """Share of all cores since the reading before."""
    num_cores: int = 1
    load: float | None = None
    """Processes ready to run, mean over a minute."""
    memory_used_gib: float | None = None
    memory_total_gib: float | None = None

    @property
    def gpus_of_run(self) -> tuple[GpuReading, ...]:
        """Those that hold the run, or all where that cannot be told."""
        return tuple(gpu for gpu in self.gpus if gpu.holds_run) or self.gpus


class Machine:
    """Reads again and again. Slow at first: NVML is loaded with the first reading."""

    def __init__(self, proc: Path = Path("/proc"), load_nvml: Callable[[], Any] | None = None) -> None:
        """
        Args:
            proc: where the processor and the memory are read.
            load_nvml: gives the module `pynvml`, initialised; nvidia-ml-py's when not given.
        """
        self._proc = proc
        self._load_nvml = load_nvml or _load_nvml
        self._nvml: Any = None
        self._why_no_gpu: str | None = None
        self._ticks: _Ticks | None = None

    def read(self, pid: int = 0) -> MachineReading:
        """The machine now; `pid` is the run's process."""
        gpus = self._gpus(pid)
        used, total = _attempt(self._memory) or (None, None)
        return MachineReading(
            gpus=gpus,
            why_no_gpu="" if gpus else self._why_no_gpu or "no GPU on this host",
            processor_use=self._processor_use(),
            num_cores=os.cpu_count() or 1,
            load=_attempt(lambda: os.getloadavg()[0]),
            memory_used_gib=used,
            memory_total_gib=total,
        )

    def _gpus(self, pid: int) -> tuple[GpuReading, ...]:
        nvml = self._loaded_nvml()
        if nvml is None:
            return ()
        count = _attempt(nvml.nvmlDeviceGetCount) or 0
        readings = (_attempt(partial(_read_gpu, nvml, index, pid)) for index in range(count))
        return tuple(reading for reading in readings if reading is not None)

    def _loaded_nvml(self) -> Any:
        if self._nvml is None and self._why_no_gpu is None:
            try:
                self._nvml = self._load_nvml()
            except Exception as error:  # NVML's errors are many, and none of them matters to the run
                self._why_no_gpu = f"no GPU figures: {error}"
        return self._nvml

    def _processor_use(self) -> float | None:
        now: _Ticks | None = _attempt(self._read_ticks)
        before, self._ticks = self._ticks, now
        if before is None or now is None or now.total <= before.total:
            return None
        return 1 - (now.idle - before.idle) / (now.total - before.total)

    def _read_ticks(self) -> _Ticks:
        """From the first line of /proc/stat: user nice system idle iowait irq softirq steal, since the start."""
        first = (self._proc / "stat").read_text().split("\n", 1)[0]
        ticks = [int(word) for word in first.split()[1:9]]
        return _Ticks(total=sum(ticks), idle=ticks[3] + ticks[4])

    def _memory(self) -> tuple[float | None, float | None]:
        """Used and in all, GiB."""
        text = _attempt((self._proc / "meminfo").read_text) or ""
        kib = {key: int(rest.split()[0]) for key, _, rest in (row.partition(":") for row in text.splitlines()) if rest}
        total, available = kib.get("MemTotal"), kib.get("MemAvailable")
        if total is None or available is None:
            return None, None
        return (total - available) * 1024 / GIB, total * 1024 / GIB


@attrs.frozen(kw_only=True)
class _Ticks:
    total: int
    idle: int


def _load_nvml() -> Any:
    import pynvml

    pynvml.nvmlInit()
    return pynvml


def _read_gpu(nvml: Any, index: int, pid: int) -> GpuReading:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    name = _attempt(lambda: nvml.nvmlDeviceGetName(handle))
    memory = _attempt(lambda: nvml.nvmlDeviceGetMemoryInfo(handle))
    processes = _attempt(lambda: nvml.nvmlDeviceGetComputeRunningProcesses(handle)) or []
    return GpuReading(
        index=index,
        name=name.decode(errors="replace") if isinstance(name, bytes) else str(name or "GPU"),
        use=_attempt(lambda: nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100),
        memory_used_gib=None if memory is None else memory.used / GIB,
        memory_total_gib=None if memory is None else memory.total / GIB,
        power_w=_attempt(lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1000),
        power_limit_w=_attempt(lambda: nvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1000),
        holds_run=pid > 0 and any(process.pid == pid for process in processes),
    )


def _attempt(read: Callable[[], Any]) -> Any:
    """None where it fails: a figure that a device does not tell is left out, whatever its driver says about it."""
    try:
        return read()
    except Exception:
        return None
