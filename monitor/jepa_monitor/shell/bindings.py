"""Keys as Textual's bindings."""

from __future__ import annotations

from collections.abc import Iterable

from textual.binding import Binding, BindingType

from jepa_monitor.keys import Key


def bindings(keys: Iterable[Key]) -> list[BindingType]:
    """Bindings that can be remapped by the keys' ids."""
    return [Binding(key.keys, key.action, key.help, show=False, id=key.id) for key in keys]
