"""The screen before there is a run: says what it waits for, and gives way to the run as soon as it begins."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Event, Thread

from textual.app import ComposeResult
from textual.message import Message

from jepa_core.run_directory.clock import local_time
from jepa_core.run_directory.naming import LATEST
from jepa_monitor.charts.look import Look
from jepa_monitor.chrome.monitor_screen import MonitorScreen
from jepa_monitor.chrome.one_line import OneLine, key_line
from jepa_monitor.keys import MONITOR_KEYS
from jepa_monitor.panels.framed_lines import Content, FramedLines
from jepa_monitor.panels.line import NOTHING, Line, Span, foreign, line, wrapped
from jepa_monitor.progress_text import age_text
from jepa_monitor.runs.awaited_run import AwaitedRun, Sighting, runs_dir_flag

LOOK_SECONDS = 0.5
"""Between two looks at the folder."""
_MOST_OTHERS = 8


class _Words(FramedLines):
    """What is waited for."""

    def __init__(self, screen: WaitingScreen) -> None:
        super().__init__("waiting")
        self._screen = screen

    def draw(self, width: int, height: int, look: Look) -> Content:  # noqa: ARG002  # it scrolls
        return Content(lines=tuple(self._screen.words(width)))


class WaitingScreen(MonitorScreen):
    """Looks for the run on a thread of its own."""

    class Looked(Message):
        """The folder was looked at."""

        def __init__(self, sighting: Sighting) -> None:
            super().__init__()
            self.sighting = sighting

    class Arrived(Message):
        """The run is there."""

        def __init__(self, run: Path) -> None:
            super().__init__()
            self.run = run

    def __init__(self, awaited: AwaitedRun, *, look: Look, keymap: Mapping[str, str]) -> None:
        super().__init__()
        self._awaited = awaited
        self._look = look
        self._began = time.time()
        self._sighting: Sighting | None = None
        self._stopped = Event()
        self._head = OneLine(self._head_line, look)
        self._words = _Words(self)
        self._keys = OneLine(lambda width: key_line(MONITOR_KEYS, keymap, width), look)

    def compose(self) -> ComposeResult:
        yield self._head
        yield self._words
        yield self._keys

    def on_mount(self) -> None:
        self.call_after_refresh(Thread(target=self._watch, name="waiting for a run", daemon=True).start)

    def on_unmount(self) -> None:
        self._stopped.set()

    def take_look(self, look: Look) -> None:
        """Draw everything in this look from now on."""
        self._look = look
        self._show()

    def _watch(self) -> None:
        while not self._stopped.is_set():
            self.post_message(self.Looked(self._awaited.look()))
            self._stopped.wait(LOOK_SECONDS)

    def on_waiting_screen_looked(self, message: Looked) -> None:
        """Nothing opens over a dialog: the run waits until it is left."""
        self._sighting = message.sighting
        self._show()
        run = message.sighting.run
        if run is not None and self.app.screen is self and not self._stopped.is_set():
            self._stopped.set()
            self.post_message(self.Arrived(run))

    def _show(self) -> None:
        self._head.show(self._head_line, self._look)
        self._words.redraw(self._look)
        self._keys.refresh()

    def _head_line(self, width: int) -> Line:
        waited = time.time() - self._began
        since = f"since {local_time(self._began, '%H:%M:%S')}, {age_text(waited)}"
        return line(Span(" waiting for a run", is_bold=True), Span(f"   {since}", "dim")).fitted(width)

    def words(self, width: int) -> Iterator[Line]:
        """What is not there yet, what will happen, and what can be done meanwhile."""
        name, folder, sighting = self._awaited.name, str(self._awaited.folder), self._sighting
        yield NOTHING
        if sighting is not None and not sighting.has_folder:
            yield from wrapped(f"There is no folder {folder.rstrip('/')}/ yet.", width)
        elif name == LATEST:
            yield from wrapped(f"There are no runs in {folder} yet.", width)
        else:
            yield from wrapped(f"There is no run {name} yet: none in {folder} has this name, or starts so.", width)
        yield from wrapped(
            "A run is shown here as soon as it begins." if name == LATEST else "It is shown here as soon as it begins.",
            width,
        )
        yield NOTHING
        command = f"jepa run quickstart{runs_dir_flag(self._awaited.folder)}"
        start = line(
            Span("start one   ", "dim"), Span(foreign(command, 300), "accent"), Span("   or another recipe", "dim")
        )
        yield from (start,) if start.width <= width else wrapped(command, width, tone="accent")
        yield line(Span("or watch    ", "dim"), Span("jepa demo", "accent"), Span("   a scripted run", "dim"))
        if sighting is not None and sighting.others and name != LATEST:
            yield NOTHING
            yield from wrapped(f"Runs that are there, newest first ({len(sighting.others)}):", width, tone="dim")
            yield from (line("  ", foreign(other, 100)) for other in sighting.others[:_MOST_OTHERS])
