"""Keys as the groups that the help shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from textual.binding import Binding

from jepa_monitor.keys import Group, Key, keys_of
from jepa_monitor.screens.help import KeyGroup

_GROUP_TITLES: Mapping[Group, str] = {
    "charts": "charts",
    "view": "looking",
    "run": "the run",
    "panes": "panes",
    "runs": "list of runs",
    "monitor": "monitor",
}


def help_groups(keys: Iterable[Key], keymap: Mapping[str, str]) -> list[KeyGroup]:
    """What each key does, with the keys that are in force."""
    by_group: dict[Group, list[Binding]] = {}
    for key in keys:
        bound = Binding(keys_of(key, keymap), key.action, key.help, id=key.id)
        by_group.setdefault(key.group, []).extend(Binding.make_bindings([bound]))
    return [KeyGroup(title=_GROUP_TITLES[group], bindings=bound) for group, bound in by_group.items()]
