"""What is painted first: the run's name, while everything else is still being loaded."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.screen import Screen
from textual.widgets import Static

from jepa_core.visible_text import clean


class Skeleton(Screen[None]):
    """Stands until the real screen is ready."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._source_name = clean(name, 60)

    def compose(self) -> ComposeResult:
        yield Static(f" {self._source_name}   reading", markup=False)
