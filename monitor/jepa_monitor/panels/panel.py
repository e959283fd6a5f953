"""A pane of the dashboard: shows one side of a run, as a pure function of what is known of it."""

from __future__ import annotations

from typing import ClassVar

from jepa_monitor.charts.look import Look
from jepa_monitor.model.run_view import RunView
from jepa_monitor.panels.framed_lines import Content, FramedLines


class Panel(FramedLines):
    """Shows what `content` makes of the newest view."""

    PANE_TITLE: ClassVar[str] = ""
    """Stands in the frame."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  # Textual's word
        super().__init__(self.PANE_TITLE, id=id)
        self._view: RunView | None = None

    def show(self, view: RunView, look: Look) -> None:
        """Show another view of the run."""
        self._view = view
        self.redraw(look)

    def content(self, view: RunView, width: int, height: int, look: Look) -> Content:
        """What to show in `width` × `height` columns and rows."""
        raise NotImplementedError  # by each panel

    def draw(self, width: int, height: int, look: Look) -> Content:
        """What to show of the newest view."""
        return Content() if self._view is None else self.content(self._view, width, height, look)
