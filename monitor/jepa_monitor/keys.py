"""Every key of the monitor: which action it starts, and the words for it. The tables are what help and key line show.

The `id` of a key is what preferences remap it by; what an action does is the business of the screen that has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import attrs

Group = Literal["charts", "view", "run", "panes", "panels", "runs", "monitor"]


@attrs.frozen(kw_only=True)
class Key:
    """One action that a key starts."""

    id: str
    keys: str
    """As Textual names them, separated by commas."""
    action: str
    label: str
    """One or two words, for the key line."""
    help: str
    """What it does, for the help."""
    group: Group
    in_key_line: bool = False


def _key(id: str, keys: str, label: str, help: str, group: Group, *, action: str = "", shown: bool = False) -> Key:  # noqa: A002
    return Key(id=id, keys=keys, action=action or id, label=label, help=help, group=group, in_key_line=shown)


def _chart_key(id: str, keys: str, label: str, help: str, group: Group = "charts", *, shown: bool = False) -> Key:  # noqa: A002
    return _key(id, keys, label, help, group, action=f"chart('{id}')", shown=shown)


MONITOR_KEYS: tuple[Key, ...] = (
    _key("help", "question_mark", "help", "show all keys", "monitor", shown=True),
    _key("next_theme", "t", "theme", "dark, light, colour-blind", "monitor"),
    _key("command_palette", "ctrl+p", "palette", "find a command by name", "monitor"),
    _key("quit", "q", "quit", "leave; the run goes on", "monitor", shown=True),
)
"""Everywhere."""

RUN_KEYS: tuple[Key, ...] = (
    _key("filter", "slash", "filter", "charts whose metrics match a regex", "charts", shown=True),
    _chart_key("log", "y", "log", "logarithmic y axis of this chart", shown=True),
    _chart_key("smooth", "s", "smooth", "smoothing: off, light, medium, strong", shown=True),
    _chart_key("axis", "x", "axis", "x of all charts: step, epoch, time", shown=True),
    _chart_key("full_screen", "enter", "full", "the chart alone, or all again", shown=True),
    _chart_key("more_columns", "greater_than_sign,ctrl+right", "columns +", "one column of charts more"),
    _chart_key("fewer_columns", "less_than_sign,ctrl+left", "columns −", "one column of charts less"),
    _chart_key("more_rows", "right_curly_bracket,ctrl+down", "rows +", "one row of charts more"),
    _chart_key("fewer_rows", "left_curly_bracket,ctrl+up", "rows −", "one row of charts less"),
    _chart_key("automatic_grid", "equals_sign", "grid auto", "as many charts as fit well"),
    _chart_key("sort", "o", "sort", "the charts nearest to trouble first"),
    _chart_key("next_page", "pagedown", "page down", "the next charts"),
    _chart_key("previous_page", "pageup", "page up", "the charts before"),
    _chart_key("next_chart", "tab", "next", "to the next chart"),
    _chart_key("previous_chart", "shift+tab", "previous", "to the chart before"),
    _chart_key("left", "left,h", "left", "to the chart on the left"),
    _chart_key("right", "right,l", "right", "to the chart on the right"),
    _chart_key("up", "up,k", "up", "to the chart above"),
    _chart_key("down", "down,j", "down", "to the chart below"),
    _chart_key("zoom_in", "plus", "zoom in", "half of the x range", "view"),
    _chart_key("zoom_out", "minus", "zoom out", "twice the x range", "view"),
    _chart_key("pan_left", "left_square_bracket", "pan left", "a quarter of the x range back", "view"),
    _chart_key("pan_right", "right_square_bracket", "pan right", "a quarter of the x range on", "view"),
    _chart_key("reset_view", "0", "whole run", "the whole x range again", "view"),
    _chart_key("follow", "f", "follow", "keep to the newest, and to a child run", "view"),
    _key("pause", "space", "pause", "hold the picture, or the replay", "view"),
    _chart_key("crosshair", "c", "crosshair", "values at one x, in all charts", "view"),
    _chart_key("crosshair_left", "shift+left,H", "crosshair left", "the crosshair a little back", "view"),
    _chart_key("crosshair_right", "shift+right,L", "crosshair right", "the crosshair a little on", "view"),
    _chart_key("anchor", "m", "mark", "a mark here: differences from it", "view"),
    _key("faster", "full_stop", "faster", "replay: twice the speed", "view", action="steer('faster')"),
    _key("slower", "comma", "slower", "replay: half the speed", "view", action="steer('slower')"),
    _key("from_start", "home", "from start", "replay: from the beginning", "view", action="steer('from_start')"),
    _key("to_end", "end", "to the end", "replay: all of it now", "view", action="steer('to_end')"),
    _key("alerts", "a", "alerts", "what wants attention", "run", shown=True),
    _key("verdict", "v", "verdict", "every rule with value and margin", "run", shown=True),
    _key("rollback", "r", "rollback", "evidence, remedy, and its request", "run", shown=True),
    _key("recipe_difference", "d", "recipe", "how the recipe differs from another", "run", shown=True),
    _key("newer_run", "n", "newer run", "to the run that goes on, or is newer", "run", action="app.newer_run"),
    _key("back", "escape", "back", "out of this; to the list of runs", "run"),
    _key("pane_charts", "1", "charts", "charts over a row of panels", "panes", action="pane('charts')"),
    _key("pane_model", "2", "model", "codes, spectrum, losses, context", "panes", action="pane('model')"),
    _key("pane_system", "3", "system", "device, host, step; the ranks", "panes", action="pane('system')"),
    _key("pane_events", "4", "events", "everything that happened", "panes", action="pane('events')"),
    _key("pane_console", "5", "console", "what the run printed", "panes", action="pane('console')"),
)
"""On the screen of a run, and of several in the same charts."""

PANEL_KEYS: tuple[Key, ...] = (
    _key("scroll", "up,down,k,j", "scroll", "a line up or down", "panels"),
    _key("scroll_pages", "pageup,pagedown", "page", "a screenful up or down", "panels"),
    _key("scroll_ends", "home,end", "ends", "to the first line, to the last", "panels"),
    _key("which_events", "w", "which", "events: which of them are listed", "panels"),
    _key("whole_events", "enter", "whole", "events: all that they say", "panels"),
)
"""In the panels under 2 to 5, which bind them; here they stand to be told of."""

KEPT_LONGEST: tuple[str, ...] = (
    "rollback", "alerts", "verdict", "recipe_difference", "filter", "full_screen", "log", "smooth", "axis",
)  # fmt: skip
"""Ids of the keys that a narrow key line keeps, the most important first; others follow in their order."""

RUNS_KEYS: tuple[Key, ...] = (
    _key("open", "enter", "open", "open it, or the marked runs together", "runs", shown=True),
    _key("mark", "m,space", "mark", "mark it, or take the mark away", "runs", shown=True),
    _key("overlay", "o", "overlay", "the marked runs in the same charts", "runs", shown=True),
    _key("runs_difference", "d", "recipe", "how two marked runs' recipes differ", "runs", shown=True),
    _key("runs_filter", "slash", "filter", "by name, recipe, state, verdict, tags", "runs", shown=True),
    _key("clear", "escape", "clear", "take away filter and marks", "runs", shown=True),
    _key("runs_sort", "s", "sort", "by start, name, best, gain, state", "runs", shown=True),
    _key("preview", "p", "preview", "a preview of the run under the cursor", "runs", shown=True),
    _key("row_down", "down,j", "down", "the next run", "runs"),
    _key("row_up", "up,k", "up", "the run before", "runs"),
    _key("page_down", "pagedown", "page down", "the next screenful", "runs"),
    _key("page_up", "pageup", "page up", "the screenful before", "runs"),
    _key("first_row", "home,g", "first", "the first run", "runs"),
    _key("last_row", "end,G", "last", "the last run", "runs"),
)
"""On the list of runs."""

ALL_KEYS: tuple[Key, ...] = (*RUN_KEYS, *RUNS_KEYS, *MONITOR_KEYS)

_SHOWN_NAMES: Mapping[str, str] = {
    "question_mark": "?", "slash": "/", "plus": "+", "minus": "-", "left_square_bracket": "[", "space": "space",
    "right_square_bracket": "]", "full_stop": ".", "comma": ",", "less_than_sign": "<", "greater_than_sign": ">",
    "left_curly_bracket": "{", "right_curly_bracket": "}", "equals_sign": "=", "escape": "esc", "pagedown": "pgdn",
    "pageup": "pgup",
}  # fmt: skip


def keys_of(key: Key, keymap: Mapping[str, str]) -> str:
    """The keys that start it now: remapped, else as they come."""
    return keymap.get(key.id, key.keys)


def shown_key(key: Key, keymap: Mapping[str, str]) -> str:
    """Its first key as people read it, such as "?"."""
    return shown_keys(key, keymap)[0]


def shown_key_of(id: str, keymap: Mapping[str, str]) -> str:  # noqa: A002
    """The first key of the action with this id, as people read it."""
    return shown_key(next(key for key in ALL_KEYS if key.id == id), keymap)


def shown_keys(key: Key, keymap: Mapping[str, str]) -> list[str]:
    """All its keys as people read them."""
    names = [name.strip() for name in keys_of(key, keymap).split(",")]
    return [_SHOWN_NAMES.get(name, name) for name in names]


def known_keymap(entries: Iterable[tuple[str, object]]) -> dict[str, str]:
    """Of remapped keys, those whose action exists and whose keys are text."""
    ids = {key.id for key in ALL_KEYS}
    return {name: keys for name, keys in entries if name in ids and isinstance(keys, str) and keys.strip()}
