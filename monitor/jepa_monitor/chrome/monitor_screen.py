"""What the application asks of its own screens: their keys, and to be drawn in another look; and its first screen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import Static

from jepa_core.visible_text import clean
from jepa_monitor.keys import Key

if TYPE_CHECKING:
    from jepa_monitor.charts.look import Look


class MonitorScreen(Screen[None], inherit_bindings=False):
    """A screen that fills the terminal. Textual's own keys for moving the focus are off: ours mean something else."""

    AUTO_FOCUS = None
    KEYS: ClassVar[tuple[Key, ...]] = ()
    """What its keys are, besides those that hold everywhere."""
    KEYS_OF_PARTS: ClassVar[tuple[Key, ...]] = ()
    """Of its parts, which bind them; the help tells of them, too."""
    DEFAULT_CSS = """
    MonitorScreen { background: $background; color: $foreground; }
    """

    def take_look(self, look: Look) -> None:
        """Draw everything in this look from now on."""
        raise NotImplementedError  # by each screen; Textual's metaclass leaves no room for an abstract class


def bindings(keys: Iterable[Key]) -> list[BindingType]:
    """Bindings that can be remapped by the keys' ids."""
    return [Binding(key.keys, key.action, key.help, show=False, id=key.id) for key in keys]


class Skeleton(Screen[None]):
    """What is painted first: the run's name, until the real screen is ready."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._source_name = clean(name, 60)

    def compose(self) -> ComposeResult:
        yield Static(f" {self._source_name}   reading", markup=False)
