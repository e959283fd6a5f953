"""All keys, taken from the bindings that are in force, so that the page cannot lie."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import ClassVar

import attrs
from textual.binding import Binding, BindingType

from jepa_core.watch.rules import Watch
from jepa_monitor.charts.look import Look
from jepa_monitor.history.series import Series
from jepa_monitor.keys import Group, Key, keys_of
from jepa_monitor.model.run_view import RunView
from jepa_monitor.panels.framed_lines import Content
from jepa_monitor.panels.line import Line, Span, line
from jepa_monitor.screens.sheet import Sheet, key_hints

_KEY_WIDTH = 12
_GROUP_TITLES: Mapping[Group, str] = {
    "charts": "charts",
    "view": "looking",
    "run": "the run",
    "panes": "panes",
    "panels": "in a panel (2 to 5)",
    "runs": "list of runs",
    "monitor": "monitor",
}


@attrs.frozen(kw_only=True)
class KeyGroup:
    """Keys that belong together."""

    title: str
    bindings: Sequence[Binding]


def help_content(groups: Sequence[KeyGroup], width: int, key_text: Callable[[Binding], str]) -> Content:
    """Keys and what they do, group below group; in two columns where there is room."""
    blocks = [_block(group, key_text) for group in groups if group.bindings]
    if width < 2 * max((row.width + 1 for block in blocks for row in block), default=0):
        return Content(lines=tuple(row for block in blocks for row in block), foot=key_hints())
    half = sum(map(len, blocks)) / 2
    left: list[Line] = []
    right: list[Line] = []
    for block in blocks:
        (left if len(left) < half else right).extend(block)
    num_rows = max(len(left), len(right))
    rows = zip(_filled(left, num_rows), _filled(right, num_rows), strict=True)
    return Content(lines=tuple(line(one.fitted(width // 2), other) for one, other in rows), foot=key_hints())


def _block(group: KeyGroup, key_text: Callable[[Binding], str]) -> list[Line]:
    keys: dict[tuple[str, str], list[str]] = {}
    for binding in group.bindings:
        if binding.description:
            keys.setdefault((binding.action, binding.description), []).append(key_text(binding))
    rows = [
        line("  ", line(Span(" ".join(texts), "accent", is_bold=True)).fitted(_KEY_WIDTH), " ", description)
        for (_, description), texts in keys.items()
    ]
    return [line(Span(group.title, is_bold=True)), *rows, line()]


def _filled(lines: list[Line], num_rows: int) -> list[Line]:
    return lines + [Line()] * (num_rows - len(lines))


class HelpScreen(Sheet):
    """The keys."""

    SHEET_TITLE: ClassVar[str] = "keys"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("question_mark", "leave", "leave", id="help")]

    def __init__(self, view: RunView, look: Look, groups: Sequence[KeyGroup]) -> None:
        super().__init__(view, look)
        self._groups = groups

    def content(self, width: int, height: int) -> Content:  # noqa: ARG002  # it scrolls
        return help_content(self._groups, width, self.app.get_key_display)


def help_groups(keys: Iterable[Key], keymap: Mapping[str, str]) -> list[KeyGroup]:
    """What each key does, with the keys that are in force."""
    by_group: dict[Group, list[Binding]] = {}
    for key in keys:
        bound = Binding(keys_of(key, keymap), key.action, key.help, id=key.id)
        by_group.setdefault(key.group, []).extend(Binding.make_bindings([bound]))
    return [KeyGroup(title=_GROUP_TITLES[group], bindings=bound) for group, bound in by_group.items()]


class _NoRows:
    num_rows = 0
    names: Sequence[str] = ()

    def series(self, name: str) -> Series | None:  # noqa: ARG002  # there is none of any name
        return None


def nothing_known() -> RunView:
    """The view of a run of which nothing is known: the keys can be asked for before anything was read."""
    return RunView(
        name="",
        path="",
        state="unknown",
        status=None,
        heartbeat_age=None,
        history=_NoRows(),
        finals={},
        metrics={},
        watch=Watch(),
        outlooks=(),
        firings=(),
        events=(),
        diagnosis={},
        console=(),
        verdict=None,
        recipe={},
        environment={},
        baseline=None,
        damaged=0,
        problems=(),
    )
