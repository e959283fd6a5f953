"""What the application asks of its own screens: their keys, and to be drawn in another look."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.screen import Screen

from jepa_monitor.keys import Key

if TYPE_CHECKING:
    from jepa_monitor.charts.look import Look


class MonitorScreen(Screen[None], inherit_bindings=False):
    """A screen that fills the terminal. Textual's own keys for moving the focus are off: ours mean something else."""

    AUTO_FOCUS = None
    KEYS: ClassVar[tuple[Key, ...]] = ()
    """What its keys are, besides those that hold everywhere."""
    DEFAULT_CSS = """
    MonitorScreen { background: $background; color: $foreground; }
    """

    def take_look(self, look: Look) -> None:
        """Draw everything in this look from now on."""
        raise NotImplementedError
