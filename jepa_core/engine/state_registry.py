"""Everything a run would have to remember, under one roof: what is not registered here is not in a checkpoint.

An entry's state is a tree of mappings and lists whose leaves are tensors or plain values (numbers, text, None).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import attrs
from torch import Tensor, nn

from jepa_core.engine.fitting_state import StartedAnew, load_fitting
from jepa_core.engine.slices import sharded_as
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
    write_fitting: Callable[[Any], tuple[StartedAnew, ...]] | None = None
    """Takes what fits from a state of another recipe; None where only the whole state makes sense."""


class StateRegistry:
    """Name → entry."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}

    def add(self, name: str, owner: Remembers) -> None:
        """Register an object with `state` and `restore`."""
        self.add_entry(name, Entry(owner.state, owner.restore))

    def add_module(self, name: str, module: nn.Module) -> None:
        """Register all parameters and buffers of a module, strictly."""
        self.add_entry(
            name,
            Entry(
                module.state_dict,
                lambda state: _load_strictly(name, module, state),
                lambda state: load_fitting(module, state),
            ),
        )

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
        self._write(states, lambda entry, state: entry.write(state))

    def write_fitting(self, states: Mapping[str, State]) -> tuple[StartedAnew, ...]:
        """The same for a state that another recipe's run wrote: what fits is taken, and what does not is returned.

        Raises:
            CheckpointError: an entry is missing or unknown, or one that must fit does not.
        """
        anew: list[StartedAnew] = []

        def write(entry: Entry, state: State) -> None:
            if entry.write_fitting is None:
                entry.write(state)
            else:
                anew.extend(entry.write_fitting(state))

        self._write(states, write)
        return tuple(anew)

    def _write(self, states: Mapping[str, State], write: Callable[[Entry, State], None]) -> None:
        missing, unknown = set(self._entries) - set(states), set(states) - set(self._entries)
        if missing or unknown:
            raise CheckpointError(
                f"The checkpoint does not fit this run: without {sorted(missing)}, with unknown {sorted(unknown)}. "
                "It was written by another version or recipe; start a new run instead."
            )
        for name, entry in self._entries.items():
            try:
                write(entry, states[name])
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
    module.load_state_dict({key: sharded_as(own[key], value) for key, value in state.items()})
