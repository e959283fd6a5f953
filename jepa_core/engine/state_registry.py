"""Everything a run would have to remember, under one roof: what is not registered here is not in a checkpoint.

An entry's state is a tree of mappings and lists whose leaves are tensors or plain values (numbers, text, None).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import attrs
from torch import Tensor, nn

from jepa_core.engine.expected_state import described, misfit
from jepa_core.engine.fitting_state import StartedAnew, load_fitting
from jepa_core.engine.slices import sharded_as
from jepa_core.errors import CheckpointError
from jepa_core.visible_text import clean

State = Mapping[str, Any]

ADVICE = "Resume with the recipe it was written by."
"""What to do about a checkpoint that does not fit."""


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
    check: Callable[[Any], str] | None = None
    """The first thing that is wrong with a state to be written. When not given, it has to look like the one read."""
    check_fitting: Callable[[Any], str] | None = None
    """The same before `write_fitting`."""

    def fault(self, state: Any, *, fitting: bool) -> str:
        """The first thing that is wrong with a state to be written; nothing where it can be."""
        if fitting and self.write_fitting is not None:
            return "" if self.check_fitting is None else self.check_fitting(state)
        return misfit(state, self.read()) if self.check is None else self.check(state)


class StateRegistry:
    """Name → entry."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}

    def add(self, name: str, owner: Remembers, *, check: Callable[[Any], str] | None = None) -> None:
        """Register an object with `state` and `restore`; `check` as in `Entry`."""
        self.add_entry(name, Entry(owner.state, owner.restore, check=check))

    def add_module(self, name: str, module: nn.Module) -> None:
        """Register all parameters and buffers of a module, strictly."""
        self.add_entry(
            name,
            Entry(
                module.state_dict,
                lambda state: _load(module, state),
                lambda state: load_fitting(module, state),
                check_fitting=_tensors_fault,
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
        """Put every entry into the state given, once all of it is found to fit.

        Raises:
            CheckpointError: an entry is missing or unknown, or does not fit. Nothing has changed.
        """
        self._write(states, lambda entry, state: entry.write(state), fitting=False)

    def check(self, states: Mapping[str, State], *, fitting: bool = False) -> None:
        """See that a state could be written, or with `fitting` as much of it as another recipe has places for.

        Raises:
            CheckpointError: an entry is missing or unknown, or does not fit.
        """
        missing, unknown = set(self._entries) - set(states), set(states) - set(self._entries)
        if missing or unknown:
            named = clean(f"without {sorted(missing)}, with unknown {sorted(unknown)}", 300)
            raise CheckpointError(
                f"The checkpoint does not fit this run: {named}. It was written by another version or recipe; start a "
                "new run instead."
            )
        for name, entry in self._entries.items():
            with _named(name):
                said = entry.fault(states[name], fitting=fitting)
            if said:
                raise CheckpointError(f"The checkpoint's {name} does not fit the recipe: {said}. {ADVICE}")

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

        self._write(states, write, fitting=True)
        return tuple(anew)

    def _write(self, states: Mapping[str, State], write: Callable[[Entry, State], None], *, fitting: bool) -> None:
        self.check(states, fitting=fitting)
        for name, entry in self._entries.items():
            with _named(name):
                write(entry, states[name])


@contextmanager
def _named(name: str) -> Iterator[None]:
    """
    Raises:
        CheckpointError: what is done with an entry fails.
    """
    try:
        yield
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, RuntimeError) as error:
        raise CheckpointError(
            f"The checkpoint's {name} does not fit the recipe: {type(error).__name__}: {clean(str(error), 200)}. "
            f"{ADVICE}"
        ) from error


def without_advice(error: CheckpointError) -> str:
    """Why a checkpoint does not fit, to go on after the checkpoint's name."""
    said = str(error).removesuffix(ADVICE).rstrip().removesuffix(".")
    return said[:1].lower() + said[1:]


def _tensors_fault(state: Any) -> str:
    """Whether they are tensors of numbers at all, of whatever shapes."""
    if not isinstance(state, Mapping):
        return f"it is {described(state)} instead of an object"
    wrong = [name for name, value in state.items() if not isinstance(value, Tensor)]
    if wrong:
        return f"{clean(wrong[0], 120)} is {described(state[wrong[0]])} instead of a tensor"
    return misfit(state, state)


def _load(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    own = module.state_dict()
    module.load_state_dict({key: sharded_as(own[key], value) for key, value in state.items()})
