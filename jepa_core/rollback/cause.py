"""What a run is taken back for: the firing that is meant, as its events recorded it."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from jepa_core.errors import RecipeError
from jepa_core.run_directory.events import Event
from jepa_core.run_directory.layout import CHECKPOINTS
from jepa_core.run_directory.naming import typed_name
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.recorded_files import plugin_flags
from jepa_core.run_directory.recorded_recipe import recorded_watch
from jepa_core.run_directory.stored_checkpoints import stored_checkpoints
from jepa_core.visible_text import visible
from jepa_core.watch.rules import Alarm, Rollback

NON_FINITE = "non-finite"
"""Names the stop at a value that is not finite, which is no rule's."""

MOST_NAMED = 12
"""Rules that are named where the one asked for is not there."""

_KINDS = ("rollback", "abort", "scenario")


@attrs.frozen(kw_only=True)
class Cause:
    """What a run is taken back for."""

    name: str
    event: Event
    rule: Alarm | None

    @property
    def title(self) -> str:
        return (self.rule.title or self.rule.id) if self.rule else self.name

    @property
    def first_sign(self) -> float | None:
        if self.event.name == NON_FINITE:
            # Nothing has changed from the bad step on, so it is the first that is not healthy.
            return _number(self.event.evidence.get("step"), self.event.step)
        return _number(self.event.evidence.get("first_sign"), self.event.step)

    @property
    def set(self) -> Mapping[str, Any]:
        recorded = self.event.evidence.get("set", getattr(self.rule, "set", {}))
        return recorded if isinstance(recorded, dict) else {}

    @property
    def use(self) -> str:
        recorded = self.event.evidence.get("use", self.rule.use if isinstance(self.rule, Rollback) else "")
        return recorded if isinstance(recorded, str) else ""

    @property
    def rows(self) -> tuple[Mapping[str, Any], ...]:
        recorded = self.event.evidence.get("rows")
        return tuple(row for row in recorded if isinstance(row, dict)) if isinstance(recorded, list) else ()


def find_cause(reader: RunReader, recipe: Mapping[str, Any], scenario: str, *, required: bool) -> Cause | None:
    """The firing that is meant: of the rule that is named, else of the last rollback rule, else what stopped the run.

    Args:
        reader: the run.
        recipe: its recorded recipe.
        scenario: the rule's id; empty when none is named.
        required: whether there has to be one.

    Raises:
        RecipeError: there is none that is meant.
    """
    fired = tuple(_fired(reader.events()))
    watch = recorded_watch(recipe).watch
    rules = {rule.id: rule for rule in watch.alarms}
    if scenario:
        chosen = _last(fired, scenario=scenario)
        if chosen is None:
            raise RecipeError(_not_fired(reader, scenario, fired, rules))
    else:
        chosen = _last(fired, kinds=("rollback",)) or _last(fired, kinds=("abort", NON_FINITE))
    if chosen is None:
        if required:
            raise RecipeError(_nothing_fired(reader, fired))
        return None
    name = _id_of(chosen)
    return Cause(name=name, event=chosen, rule=rules.get(name))


def firings(reader: RunReader) -> list[tuple[str, Event]]:
    """Id and event of all that a run can be taken back for, the oldest first.

    Raises:
        RunDirectoryError: its events are no plain file.
    """
    return [(_id_of(event), event) for event in _fired(reader.events())]


def _fired(events: Iterable[Event]) -> Iterator[Event]:
    for event in events:
        if event.name == NON_FINITE or event.name.partition(" ")[0] in _KINDS:
            yield event


def _last(fired: Sequence[Event], *, scenario: str = "", kinds: Sequence[str] = ()) -> Event | None:
    chosen = [event for event in fired if _id_of(event) == scenario or event.name.partition(" ")[0] in kinds]
    return chosen[-1] if chosen else None


def _id_of(event: Event) -> str:
    return event.name if event.name == NON_FINITE else event.name.partition(" ")[2]


def _not_fired(reader: RunReader, scenario: str, fired: Sequence[Event], rules: Mapping[str, Alarm]) -> str:
    names = _names(fired) or "none"
    known = "" if scenario in rules or scenario == NON_FINITE else f" {_no_such_rule(scenario, rules)}"
    return f"{scenario!r} has not fired in {reader.name}.{known}\nFired so far: {names}.\n{_by_hand(reader)}"


def _no_such_rule(scenario: str, rules: Mapping[str, Alarm]) -> str:
    near = difflib.get_close_matches(scenario, rules, n=1)
    meant = f" Did you mean {near[0]}?" if near else ""
    there = ", ".join(sorted(rules)[:MOST_NAMED]) + (", …" if len(rules) > MOST_NAMED else "")
    return visible(
        f"It has no rule of this id.{meant} There {'are' if rules else 'is none'}{' ' + there if rules else ''}."
    )


def _nothing_fired(reader: RunReader, fired: Sequence[Event]) -> str:
    names = _names(fired)
    others = f" Scenarios that fired can be named: {names}." if names else ""
    return (
        f"No rollback rule has fired in {reader.name}, so there is nothing to go back from.{others}\n{_by_hand(reader)}"
    )


def _names(fired: Sequence[Event]) -> str:
    """What has fired; the text comes from a file."""
    return visible(", ".join(dict.fromkeys(_id_of(event) for event in fired)))


def _by_hand(reader: RunReader) -> str:
    there = ", ".join(str(found.step) for found in stored_checkpoints(reader.path / CHECKPOINTS)) or "none"
    command = f"jepa rollback {typed_name(reader.path)} --to STEP --set KEY=VALUE{plugin_flags(reader.path)}"
    return f"To change something anyway, say from where and what: {command}\nCheckpoints at steps: {there}."


def _number(*values: object) -> float | None:
    for value in values:
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
    return None
