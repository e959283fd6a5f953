"""What to type after a run died: commands that work on what there is, with why."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jepa_core.autopsy.death import Kind
from jepa_core.autopsy.examining import Autopsy
from jepa_core.rollback.cause import NON_FINITE
from jepa_core.rollback.lineage import successor_of
from jepa_core.rollback.plan import flags_of, rollback_command
from jepa_core.run_directory.layout import RECIPE
from jepa_core.run_directory.naming import typed_name
from jepa_core.run_directory.reading import RunReader

GENTLER = 0.5
"""Factor of the learning rate after something was not finite."""


def next_commands(autopsy: Autopsy) -> dict[str, str]:
    """Command → why, the best first."""
    return dict(_Commands(autopsy).of_kind())


class _Commands:
    def __init__(self, autopsy: Autopsy) -> None:
        self._autopsy = autopsy
        self._run = autopsy.path
        self._typed = shlex.quote(typed_name(autopsy.path))
        reader = RunReader(autopsy.path)
        self._recipe = reader.recipe()
        files = reader.environment().get("plugin_files")
        paths = [each.get("path") for each in files if isinstance(each, dict)] if isinstance(files, list) else []
        self._plugins = [f"--plugin {shlex.quote(path)}" for path in paths if isinstance(path, str)]

    def of_kind(self) -> Iterator[tuple[str, str]]:
        """Commands and reasons for what has ended the run."""
        by_kind: dict[Kind, Callable[[], Iterator[tuple[str, str]]]] = {
            "running": lambda: self._look("where it stands"),
            "silent": lambda: self._look("where it stands; where it hangs, end its process, then resume"),
            "finished": lambda: iter([(f"jepa verdict {self._typed}", "what it came to")]),
            "rolled back": self._child,
            "non-finite": self._after_non_finite,
            "rule": self._after_rule,
            "memory": self._after_memory,
            "component": self._after_component,
            "elsewhere": lambda: self._onward("once it is certain that it no longer runs there"),
        }
        return by_kind.get(self._autopsy.death.kind, lambda: self._onward(""))()

    def _look(self, why: str) -> Iterator[tuple[str, str]]:
        yield f"jepa monitor {self._typed} --once", why

    def _child(self) -> Iterator[tuple[str, str]]:
        child = successor_of(self._run)
        if child is not None:
            yield f"jepa autopsy {shlex.quote(typed_name(child))}", "the run that goes on in its place"
        else:
            yield from self._onward("since the run that went on in its place is gone")

    def _after_memory(self) -> Iterator[tuple[str, str]]:
        step, changes = self._autopsy.checkpoint.step, _nested(self._autopsy.out_of_memory)
        if step is not None and changes:
            yield self._rollback(to=step, changes=changes), f"goes on from step {step} with half the micro-batch"
        elif self._recipe and changes:
            yield self._anew(changes), "begins anew with half the micro-batch"

    def _after_component(self) -> Iterator[tuple[str, str]]:
        component = self._autopsy.component
        if component is not None and component.distribution:
            check = f"jepa plugins check {shlex.quote(component.distribution)}"
            yield check, "tries its components alone, and shows the smallest example that fails"
        yield from self._onward("once it is mended")

    def _after_non_finite(self) -> Iterator[tuple[str, str]]:
        step = self._autopsy.checkpoint.step
        rate = _number(self._recipe, "optimizer", "lr")
        events = {event.name for event in RunReader(self._run).events()}
        if rate is not None:
            changes = {"optimizer": {"lr": rate * GENTLER}}
            why = f"goes on from step {step}" if step is not None else "begins anew"
            of_event = NON_FINITE in events
            command = self._rollback(
                scenario=NON_FINITE if of_event else "", to=None if of_event else step or 0, changes=changes
            )
            yield command, f"{why} with half the learning rate"
        if step is not None and self._autopsy.batches:
            bad = self._autopsy.batches[0].step
            if bad > step:
                yield self._resume(), f"takes steps {step + 1} to {bad} again, with the same draws: to see it once more"

    def _after_rule(self) -> Iterator[tuple[str, str]]:
        aborts = [event for event in self._autopsy.fired if event.name.startswith("abort ")]
        if not aborts:
            return
        scenario, change = aborts[-1].name.partition(" ")[2], aborts[-1].evidence.get("set")
        if isinstance(change, dict) and change:
            yield self._rollback(scenario=scenario), "goes on from before its first sign, with the rule's change"
        else:
            yield f"jepa check {self._typed}", "the rule with its figures"
            command = self._rollback(scenario=scenario)
            yield f"{command} --set KEY=VALUE", "goes on from before its first sign: say with which change"

    def _onward(self, when: str) -> Iterator[tuple[str, str]]:
        step = self._autopsy.checkpoint.step
        if step is not None:
            yield self._resume(), f"goes on from step {step}{f', {when}' if when else ''}"
        elif self._recipe:
            yield self._anew({}), f"begins anew: no checkpoint can be used{f'; {when}' if when else ''}"

    def _resume(self) -> str:
        return " ".join([f"jepa run --resume {self._typed}", *self._plugins])

    def _rollback(self, **given: Any) -> str:
        return " ".join([rollback_command(self._run, **given), *self._plugins])

    def _anew(self, changes: Mapping[str, Any]) -> str:
        flags = [f"--set {shlex.quote(flag)}" for flag in flags_of(changes)]
        return " ".join([f"jepa run {shlex.quote(str(self._run / RECIPE))}", *flags, *self._plugins])


def _nested(settings: Mapping[str, int]) -> dict[str, Any]:
    return {"train": {key.removeprefix("train."): value for key, value in settings.items()}} if settings else {}


def _number(recipe: Mapping[str, Any], table: str, key: str) -> float | None:
    found = recipe.get(table)
    value = found.get(key) if isinstance(found, dict) else None
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0
    return value if is_number else None
