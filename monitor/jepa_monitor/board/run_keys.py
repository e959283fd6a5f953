"""The key line under a run: the keys that do something here, and first those that something waits for."""

from __future__ import annotations

from collections.abc import Mapping

from jepa_monitor.chrome.one_line import key_line
from jepa_monitor.keys import MONITOR_KEYS, RUN_KEYS
from jepa_monitor.model.run_view import RunView
from jepa_monitor.panels.line import Line, Span, line

_OF_PANES = ("pane_charts", "pane_model", "pane_system", "pane_events", "pane_console")
_OF_CHARTS = ("filter", "log", "smooth", "axis", "full_screen")


def run_key_line(view: RunView | None, pane: str, newer: str, keymap: Mapping[str, str], width: int) -> Line:
    """For the pane of this name; `newer` is not empty where there is another run to go to."""
    outlooks = view.outlooks if view else ()
    has_fired = any(each.judgement.kind == "rollback" and each.prospect == "fired" for each in outlooks)
    urgent = [name for name, is_so in (("rollback", has_fired), ("newer_run", newer)) if is_so]
    on_charts = pane == "charts"
    return key_line(
        (*RUN_KEYS, *MONITOR_KEYS),
        keymap,
        width,
        urgent=urgent,
        also=urgent if on_charts else (*urgent, *_OF_PANES),
        without=() if on_charts else _OF_CHARTS,
        hint=line(" ", Span("1-5", "accent"), Span(" panes ", "dim")) if on_charts else Line(),
    )
