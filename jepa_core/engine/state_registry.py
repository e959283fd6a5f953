"""Everything a run would have to remember, under one roof: what is not registered here is not in a checkpoint.

An entry's state is a tree of mappings and lists whose leaves are tensors or plain values (numbers, text, None).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import attrs
from torch import Tensor, nn

from jepa_core.errors import CheckpointError

State = Mapping[str, Any]


class Remembers(Protocol):
    """Something with state to save."""

    def state(self) -> State: ...

    def restore(self, state: Any) -> None: ...


@attrs.frozen
class Entry:
    """How to read and write one part of a run's state."""

    read: Callable[[], State]
    write: Callable[[Any], None]


class StateRegistry:
    """Name → entry."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}

    def add(self, name: str, owner: Remembers) -> None:
        """Register an object with `state` and `restore`."""
        self.add_entry(name, Entry(owner.state, owner.restore))

    def add_module(self, name: str, module: nn.Module) -> None:
        """Register all parameters and buffers of a module, strictly."""
        self.add_entry(name, Entry(module.state_dict, lambda state: _load_strictly(name, module, state)))

    def add_entry(self, name: str, entry: Entry) -> None:
        assert name not in self._entries, f"state {name!r} is registered twice"
        self._entries[name] = entry

    def names(self) -> tuple[str, ...]:
        return tuple(self._entries)

    def read(self) -> dict[str, State]:
        """The state of every entry, by name."""
        return {name: entry.read() for name, entry in self._entries.items()}

    def write(self, states: Mapping[str, State]) -> None:
        """Put every entry into the state given.

        Raises:
            CheckpointError: an entry is missing or unknown, or does not fit.
        """
        missing, unknown = set(self._entries) - set(states), set(states) - set(self._entries)
        if missing or unknown:
            raise CheckpointError(
                f"The checkpoint does not fit this run: without {sorted(missing)}, with unknown {sorted(unknown)}. "
                "It was written by another version or recipe; start a new run instead."
            )
        for name, entry in self._entries.items():
            try:
                entry.write(states[name])
            except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
                raise CheckpointError(
                    f"The checkpoint's {name} does not fit the recipe: {type(error).__name__}: {error}. "
                    "Resume with the recipe it was written by."
                ) from error


def _load_strictly(name: str, module: nn.Module, state: Mapping[str, Tensor]) -> None:
    own = module.state_dict()
    wrong = list(own.keys() ^ state.keys()) + [
        key
        for key in own.keys() & state.keys()
        if own[key].shape != state[key].shape or own[key].dtype != state[key].dtype
    ]
    if wrong:
        raise CheckpointError(
            f"The checkpoint's {name} does not fit the recipe: {len(wrong)} tensors differ in name, shape or dtype, "
            f"first {sorted(wrong)[0]!r}. Resume with the recipe it was written by."
        )
    module.load_state_dict(state)
