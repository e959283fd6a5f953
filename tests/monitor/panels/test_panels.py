from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

import attrs
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from jepa_core.run_directory.events import Event
from jepa_monitor.alerts import AlertBook, Moment
from jepa_monitor.charts.look import Look
from jepa_monitor.panels.codes import CodesPanel
from jepa_monitor.panels.events import EventsPanel
from jepa_monitor.panels.framed_lines import FramedLines
from jepa_monitor.panels.machine import GpuReading, Machine, MachineReading
from jepa_monitor.panels.panel import Panel
from jepa_monitor.panels.system import SystemPanel
from tests.monitor.panels.views import NOON, a_view
from tests.monitor.screens.stage import drawn_rows, until

LOOK = Look()
EVENTS = tuple(Event(sequence=index, time=NOON, name=f"event {index}") for index in range(40))


class Frame(App[None]):
    """One panel on the whole screen."""

    def __init__(self, panel: Panel) -> None:
        super().__init__()
        self.panel = panel
        self.readings: list[MachineReading] = []

    def compose(self) -> ComposeResult:
        yield self.panel

    def on_system_panel_machine_read(self, message: SystemPanel.MachineRead) -> None:
        self.readings.append(message.reading)


def framed(panel: Panel, play: Callable[[Frame, Pilot[None]], Awaitable[None]], size: tuple[int, int]) -> None:
    async def act() -> None:
        app = Frame(panel)
        async with app.run_test(size=size) as pilot:
            await play(app, pilot)

    asyncio.run(act())


def rows(panel: FramedLines) -> list[str]:
    return drawn_rows([panel])


def test_a_panel_in_its_frame_as_a_text_grid() -> None:
    panel = CodesPanel()

    async def play(app: Frame, pilot: Pilot[None]) -> None:
        app.screen.set_focus(None)
        panel.show(a_view(), LOOK)
        assert rows(panel) == [
            "┌ codes ─ 6 of 8 in use, 2 dead ─────────┐",
            "│ █×▆▅×▄▃▃                               │",
            "│ perplexity 2.64 of 8                   │",
            "└────────────────────────────────────────┘",
        ]
        panel.show(a_view(), Look(ascii=True, no_colour=True))
        assert rows(panel)[0] == "+ codes - 6 of 8 in use, 2 dead ---------+"
        assert rows(panel)[3] == "+----------------------------------------+"

    framed(panel, play, (42, 4))


def test_a_panel_follows_its_size_and_draws_nothing_where_there_is_no_room() -> None:
    panel = CodesPanel()

    async def play(app: Frame, pilot: Pilot[None]) -> None:
        panel.show(a_view(diagnosis={"code_counts": [1] * 100}), LOOK)
        await pilot.resize_terminal(60, 8)
        assert [len(row) for row in rows(panel)] == [60] * 8
        await pilot.resize_terminal(3, 1)
        assert rows(panel) == ["   "]

    framed(panel, play, (42, 4))


def test_events_follow_the_newest_until_one_scrolls_away_and_again_at_the_end() -> None:
    panel = EventsPanel()

    async def play(app: Frame, pilot: Pilot[None]) -> None:
        panel.focus()
        await pilot.pause()
        panel.show(a_view(events=EVENTS[:30]), LOOK)
        assert "event 29" in rows(panel)[-2]
        assert "27–30 of 30" in rows(panel)[-1]
        panel.show(a_view(events=EVENTS[:31]), LOOK)
        assert "event 30" in rows(panel)[-2]
        await pilot.press("up")
        panel.show(a_view(events=EVENTS), LOOK)
        assert "event 29" in rows(panel)[-2]
        await pilot.press("end")
        assert "event 39" in rows(panel)[-2]
        await pilot.press("home", "pagedown")
        assert "event 3 " in rows(panel)[1] + " "

    framed(panel, play, (40, 6))


def test_a_log_that_was_cut_back_leaves_no_empty_rows() -> None:
    panel = EventsPanel()

    async def play(app: Frame, pilot: Pilot[None]) -> None:
        panel.show(a_view(events=EVENTS), LOOK)
        panel.show(a_view(events=EVENTS[:2]), LOOK)
        assert "event 0" in rows(panel)[1]
        assert "of" not in rows(panel)[-1]

    framed(panel, play, (40, 6))


def test_acknowledged_events_become_dim() -> None:
    panel = EventsPanel()
    book = AlertBook().observe(a_view(), Moment(wall=NOON, monotonic=0))

    async def play(app: Frame, pilot: Pilot[None]) -> None:
        panel.show(a_view(), LOOK)
        before = [segment.style for segment in panel.render_line(3)]
        panel.mark_acknowledged(book.acknowledge([book.alerts[0].key], Moment(wall=NOON, monotonic=0)))
        after = {segment.style for segment in list(panel.render_line(3))[2:-3]}
        assert len(set(before)) > 2
        assert after == {LOOK.style("dim")}

    framed(panel, play, (100, 8))


class FixedMachine(Machine):
    """Remembers who asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[int, str]] = []

    def read(self, pid: int = 0) -> MachineReading:
        self.asked.append((pid, threading.current_thread().name))
        return MachineReading(gpus=(GpuReading(index=0, name="NVIDIA H200", use=0.91, power_w=412.0),))


def test_the_machine_is_read_in_a_thread_and_told_to_the_application() -> None:
    machine = FixedMachine()
    panel = SystemPanel(machine, host="box")

    async def play(app: Frame, pilot: Pilot[None]) -> None:
        panel.show(a_view(), LOOK)
        await until(pilot, lambda: bool(app.readings))
        assert "H200 91 % 412 W" in rows(panel)[0]
        assert machine.asked[0][0] == 7
        assert machine.asked[0][1] != threading.current_thread().name
        panel.show(a_view(state="finished"), LOOK)
        assert "H200" not in "".join(rows(panel))
        assert "not running: no figures of the machine" in "".join(rows(panel))

    framed(panel, play, (70, 12))


def test_the_machine_is_not_read_for_a_run_that_is_elsewhere_or_ended() -> None:
    machine = FixedMachine()
    panel = SystemPanel(machine, host="elsewhere")

    async def play(app: Frame, pilot: Pilot[None]) -> None:
        panel.show(a_view(), LOOK)
        panel.show(a_view(state="finished"), LOOK)
        panel.show(attrs.evolve(a_view(), status=None), LOOK)
        await pilot.pause(0.05)
        assert machine.asked == []

    framed(panel, play, (70, 12))
