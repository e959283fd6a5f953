"""The line in which a filter is typed: takes effect while it is typed, as long as it is a regular expression."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.events import Key
from textual.message import Message
from textual.widgets import Input, Static

from jepa_monitor.display import filter_pattern

_HINTS = "enter keep  esc as before"


class FilterBar(Horizontal):
    """Over the key line while it is there."""

    DEFAULT_CSS = """
    FilterBar { height: 1; background: $surface; }
    FilterBar > Static { width: auto; padding: 0 0 0 1; color: $accent; text-style: bold; }
    FilterBar > #hints { padding: 0 1; color: $text-muted; text-style: none; }
    FilterBar > Input, FilterBar > Input:focus {
        height: 1; width: 1fr; border: none; padding: 0; background: $surface; background-tint: $foreground 0%;
    }
    FilterBar.-wrong > Input { color: $error; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "give_up", "leave the filter as it was", show=False)]

    class Filtered(Message):
        """Another filter."""

        def __init__(self, text: str, *, problem: str = "", is_final: bool = False) -> None:
            super().__init__()
            self.text = text
            self.problem = problem
            """Why it is no filter; empty when it is one."""
            self.is_final = is_final
            """Whether the person has done with typing."""

    def __init__(self, text: str, placeholder: str) -> None:
        super().__init__()
        self.input = Input(text, placeholder=placeholder, select_on_focus=False, compact=True)
        self._before = text

    def compose(self) -> ComposeResult:
        yield Static("/", markup=False)
        yield self.input
        yield Static(_HINTS, markup=False, id="hints")

    def on_mount(self) -> None:
        self.input.focus()

    async def take(self, key: Key) -> bool:
        """Do what a key does in the line; False where it does nothing there."""
        if key.is_printable and key.character is not None:
            self.input.insert_text_at_cursor(key.character)
        elif key.key == "backspace":
            self.input.action_delete_left()
        elif key.key == "enter":
            await self.input.action_submit()
        elif key.key == "escape":
            self.action_give_up()
        else:
            return False
        return True

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._tell(event.value, is_final=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._tell(event.value, is_final=True)

    def action_give_up(self) -> None:
        self.post_message(self.Filtered(self._before, is_final=True))

    def _tell(self, text: str, *, is_final: bool) -> None:
        try:
            filter_pattern(text)
        except ValueError as error:
            self.add_class("-wrong")
            self.post_message(self.Filtered(text, problem=str(error)))
            return
        self.remove_class("-wrong")
        self.post_message(self.Filtered(text, is_final=is_final))
