"""The run that a rollback made of the one on the screen: gone on to where somebody saw it happen, else told of."""

from __future__ import annotations

from pathlib import Path

from jepa_core.run_directory.naming import run_beside
from jepa_monitor.model.run_view import RunView


class ChildRun:
    """Found in one view after another of the run that is on the screen."""

    def __init__(self, *, is_followed: bool = False) -> None:
        """`is_followed`: the run on the screen was gone on to from its parent."""
        self.path: Path | None = None
        """The child, where it lies beside the run; None while there is none."""
        self.is_followed = is_followed
        """Whether to go on to it: not where the run had been rolled back before anybody looked."""
        self._is_seen = False

    def observe(self, view: RunView) -> None:
        """Look at a newer view."""
        was_rolled_back = view.state == "rolled_back"
        if not self._is_seen:
            self.is_followed = self.is_followed or not was_rolled_back
            self._is_seen = True
        if self.path is None and was_rolled_back and view.status is not None and view.status.child:
            self.path = run_beside(Path(view.path), view.status.child)

    def in_words(self, key: str) -> str:
        """That there is a child, and the key that goes there; empty where there is none."""
        return f"rolled back, goes on as {self.path.name}: {key} goes there" if self.path is not None else ""
