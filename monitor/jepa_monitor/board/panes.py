"""The panels of a run: a row of them below the charts, and each side of the run as a pane of its own.

Only panels that are on the screen are drawn, and at most twice a second; each pane is made when it is first opened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widget import Widget

from jepa_monitor.charts.look import Look
from jepa_monitor.model.run_view import RunView
from jepa_monitor.panels.panel import Panel

_MOST_IN_ROW = 5
_PANEL_WIDTH = 38
"""Columns that a panel of the row has at least."""


def _codes() -> Panel:
    from jepa_monitor.panels.codes import CodesPanel

    return CodesPanel()


def _spectrum() -> Panel:
    from jepa_monitor.panels.spectrum import SpectrumPanel

    return SpectrumPanel()


def _losses() -> Panel:
    from jepa_monitor.panels.losses import LossesPanel

    return LossesPanel()


def _context_use() -> Panel:
    from jepa_monitor.panels.context_use import ContextUsePanel

    return ContextUsePanel()


def _retrieval() -> Panel:
    from jepa_monitor.panels.retrieval import RetrievalPanel

    return RetrievalPanel()


def _events() -> Panel:
    from jepa_monitor.panels.events import EventsPanel

    return EventsPanel()


def _console() -> Panel:
    from jepa_monitor.panels.console import ConsolePanel

    return ConsolePanel()


def _system() -> Panel:
    from jepa_monitor.panels.system import SystemPanel

    return SystemPanel()


def _ranks() -> Panel:
    from jepa_monitor.panels.ranks import RanksPanel

    return RanksPanel()


PANES: Mapping[str, tuple[Callable[[], Panel], ...]] = {
    "model": (_codes, _spectrum, _losses, _context_use, _retrieval),
    "system": (_system, _ranks),
    "events": (_events,),
    "console": (_console,),
}
"""Panels of each pane but the charts'."""


def row_panels(width: int, *, has_codes: bool) -> tuple[Callable[[], Panel], ...]:
    """The panels below the charts, as many as have room; the events always."""
    most = min(max(width // _PANEL_WIDTH, 1), _MOST_IN_ROW)
    in_order = (_codes, _spectrum, _losses, _retrieval) if has_codes else (_spectrum, _losses, _retrieval, _context_use)
    return (*in_order[: most - 1], _events)


def has_codes(view: RunView) -> bool:
    """Whether there is a codebook to show."""
    return any(name.startswith("vq.") for name in view.finals)


class PanelRow(Horizontal):
    """Panels side by side."""

    DEFAULT_CSS = "PanelRow { height: 9; width: 1fr; }"

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id)
        self._makers: tuple[Callable[[], Panel], ...] = ()
        self.panels: list[Panel] = []

    def show(self, view: RunView, look: Look, width: int) -> None:
        """Show the run in the panels for this width."""
        makers = row_panels(width, has_codes=has_codes(view))
        if makers != self._makers:
            self._makers = makers
            for panel in self.panels:
                panel.remove()
            self.panels = [make() for make in makers]
            self.mount(*self.panels)
        for panel in self.panels:
            panel.show(view, look)


class Pane(Widget):
    """One side of the run over the whole body: panels side by side, but ranks below the system, as wide as it is."""

    DEFAULT_CSS = """
    Pane { layout: grid; grid-size: 1; height: 1fr; width: 1fr; }
    Pane.-many { grid-size: 2; }
    Pane.-odd > .-last { column-span: 2; }
    Pane.-stacked { grid-size: 1; grid-rows: 2fr 3fr; }
    """

    def __init__(self, name: str) -> None:
        super().__init__(id=f"pane-{name}")
        self.panels = [make() for make in PANES[name]]
        self.panels[-1].add_class("-last")
        self._is_stacked = name == "system"

    def compose(self) -> ComposeResult:
        yield from self.panels

    def show(self, view: RunView, look: Look) -> None:
        """Show the run in the panels that have something to show of it."""
        shown = [panel for panel in self.panels if _is_about(panel, view)]
        are_many = len(shown) > 1
        self.set_class(are_many and not self._is_stacked, "-many")
        self.set_class(are_many and self._is_stacked, "-stacked")
        self.set_class(are_many and len(shown) % 2 == 1, "-odd")
        for panel in self.panels:
            panel.display = panel in shown
            panel.show(view, look)


def _is_about(panel: Panel, view: RunView) -> bool:
    """Without a codebook there is no panel of codes, and none of ranks where the run has one process."""
    if panel.PANE_TITLE == "codes":
        return has_codes(view)
    return panel.PANE_TITLE != "ranks" or bool(view.ranks.lanes)
