"""The machine under the run, where the monitor is on its host: GPU, processor, memory. And the run's own speed."""

from __future__ import annotations

import socket
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import ClassVar

import attrs
from textual.message import Message

from jepa_core.figures import figure_text
from jepa_core.run_directory.status import ALIVE
from jepa_monitor.charts.look import Look
from jepa_monitor.model.run_view import RunView
from jepa_monitor.panels.cells import Cell, Stretch, columns
from jepa_monitor.panels.framed_lines import Content
from jepa_monitor.panels.level import bar
from jepa_monitor.panels.line import NOTHING, Span, foreign, line
from jepa_monitor.panels.machine import GpuReading, Machine, MachineReading
from jepa_monitor.panels.panel import Panel
from jepa_monitor.panels.system_history import PastReading, history_lines

POLL_SECONDS = 2.0
MOST_READINGS = 900
"""Half an hour of them."""
_FIRST_SECONDS = 0.25
"""Between the two readings that the first use of the processor is told from."""
MOST_GPUS = 8


def system_content(
    view: RunView,
    width: int,
    look: Look,
    reading: MachineReading | None,
    host: str = "",
    *,
    past: Sequence[PastReading] = (),
    height: int = 0,
) -> Content:
    """What the machine does (`reading` is None while it is not read), what the run says of its speed, then how both
    have gone, where that fits into `height`."""
    rows = [*(_machine_rows(reading) if reading else ()), *_speed_rows(view)]
    lines = columns((_cells(row, look) for row in rows), width, right=(1,))
    words = _absence(view, reading, host)
    lines += (line(Span(words, "dim")),) if words else ()
    charts = history_lines(view, past, width, height - len(lines) - 1, look)
    return Content(lines=(*lines, *((NOTHING, *charts) if charts else ())), figure=line(gpu_text(reading)))


def gpu_text(reading: MachineReading | None) -> str:
    """The run's GPU in a few words, for the head line: "H200 91 % 412 W"; empty where there is none."""
    if reading is None or not reading.gpus_of_run:
        return ""
    gpu = reading.gpus_of_run[0]
    words = [_short_name(gpu), "" if gpu.use is None else f"{gpu.use * 100:.0f} %"]
    words.append(_watts(gpu.power_w))
    return " ".join(word for word in words if word)


def is_visible_from_here(view: RunView, host: str | None = None) -> bool:
    """Whether the run lives, on this host: only then do this machine's figures say something about it."""
    here = socket.gethostname() if host is None else host
    return view.status is not None and view.status.host == here and view.state in ALIVE and not view.replay_position


@attrs.frozen
class _Row:
    name: str
    value: str
    share: float | None = None
    words: str = ""


def _machine_rows(reading: MachineReading) -> Iterator[_Row]:
    for gpu in reading.gpus_of_run[:MOST_GPUS]:
        yield _Row(f"GPU {gpu.index}", _percent(gpu.use), gpu.use, foreign(gpu.name, 24))
        used, total = gpu.memory_used_gib, gpu.memory_total_gib
        yield _Row("  memory", _gib(used), _share(used, total), f"of {_gib(total)}")
        limit = "" if gpu.power_limit_w is None else f"of {gpu.power_limit_w:.0f} W"
        yield _Row("  power", _watts(gpu.power_w), _share(gpu.power_w, gpu.power_limit_w), limit)
    cores = f"{reading.num_cores} cores" + ("" if reading.load is None else f", load {reading.load:.1f}")
    yield _Row("processor", _percent(reading.processor_use), reading.processor_use, cores)
    used, total = reading.memory_used_gib, reading.memory_total_gib
    yield _Row("memory", _gib(used), _share(used, total), f"of {_gib(total)}")


def _speed_rows(view: RunView) -> Iterator[_Row]:
    finals = view.finals
    rate, step = finals.get("throughput.samples_per_second"), finals.get("time.step")
    data, peak = finals.get("time.data"), finals.get("memory.device_gib")
    if rate is not None:
        yield _Row("samples/s", figure_text(rate))
    if step is not None:
        yield _Row("step", _milliseconds(step))
    if data is not None:
        share = _share(data, step)
        yield _Row("  drawing data", _milliseconds(data), share, f"{_percent(share)} of a step" if share else "")
    wait = finals.get("time.wait")
    if wait is not None:
        share = _share(wait, step)
        yield _Row("  waiting", _milliseconds(wait), share, f"{_percent(share)} of a step" if share else "")
    if step is not None and data is not None:
        rest = max(step - data - (wait or 0.0), 0.0)
        share = _share(rest, step)
        yield _Row("  computing", _milliseconds(rest), share, f"{_percent(share)} of a step" if share else "")
    if peak is not None:
        yield _Row("peak on device", _gib(peak))


def _cells(row: _Row, look: Look) -> list[Cell]:
    share = row.share
    drawn = Stretch(lambda room: line(" " * room) if share is None else bar(share, room, look))
    return [line(Span(row.name, "dim")), line(row.value or Span("–", "dim")), drawn, line(Span(row.words, "dim"))]


def _absence(view: RunView, reading: MachineReading | None, host: str) -> str:
    if reading is not None:
        return "" if reading.gpus else foreign(reading.why_no_gpu, 120)
    if view.replay_position:
        return "a replay: the machine is not what it was"
    if view.status is None or view.state not in ALIVE:
        return "not running: no figures of the machine"
    there = foreign(view.status.host, 60)
    return f"the run is on {there}, the monitor elsewhere" if view.status.host != host else "reading the machine …"


def _short_name(gpu: GpuReading) -> str:
    words = [word for word in foreign(gpu.name, 40).split() if word not in ("NVIDIA", "GeForce", "Tesla")]
    return words[0] if words and not words[0].isdigit() else " ".join(words)


def _share(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share * 100:.0f} %"


def _gib(amount: float | None) -> str:
    return "" if amount is None else f"{amount:.1f} GiB"


def _watts(power: float | None) -> str:
    return "" if power is None else f"{power:.0f} W"


def _milliseconds(seconds: float) -> str:
    return f"{figure_text(seconds * 1000)} ms"


class SystemPanel(Panel):
    """Reads the machine every two seconds while the run lives on it, in a thread of its own."""

    PANE_TITLE: ClassVar[str] = "system"

    class MachineRead(Message):
        """The machine was read."""

        def __init__(self, reading: MachineReading) -> None:
            super().__init__()
            self.reading = reading

    def __init__(self, machine: Machine | None = None, *, host: str | None = None, id: str | None = None) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id)
        self._machine = machine or Machine()
        self._host = socket.gethostname() if host is None else host
        self._reading: MachineReading | None = None
        self._is_reading = False
        self._past: deque[PastReading] = deque(maxlen=MOST_READINGS)

    def on_mount(self) -> None:
        self.set_interval(POLL_SECONDS, self._poll)

    def show(self, view: RunView, look: Look) -> None:
        """Show another view of the run; the first one of a living run starts a reading at once."""
        if not is_visible_from_here(view, self._host):
            self._reading = None
        super().show(view, look)
        if self._reading is None:
            self._poll()

    def content(self, view: RunView, width: int, height: int, look: Look) -> Content:
        return system_content(view, width, look, self._reading, self._host, past=tuple(self._past), height=height)

    def _poll(self) -> None:
        view = self._view
        if self._is_reading or view is None or view.status is None or not is_visible_from_here(view, self._host):
            return
        self._is_reading = True
        pid = view.status.pid
        self.run_worker(lambda: self._read(pid), thread=True, group="machine", exit_on_error=False)

    def _read(self, pid: int) -> None:
        """In the worker thread: nothing of the widget is touched but its queue of messages."""
        reading = self._machine.read(pid)
        if reading.processor_use is None and not self._past:
            time.sleep(_FIRST_SECONDS)
            reading = self._machine.read(pid)
        self.post_message(self.MachineRead(reading))

    def on_system_panel_machine_read(self, message: MachineRead) -> None:
        self._is_reading = False
        if self._view is not None and is_visible_from_here(self._view, self._host):
            self._reading = message.reading
            self._past.append(PastReading(time.monotonic(), message.reading))
            self.redraw()
