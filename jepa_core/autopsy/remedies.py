"""What to type after a run died: commands that work on what there is, with why."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jepa_core.autopsy.death import Kind
from jepa_core.autopsy.examining import Autopsy
from jepa_core.errors import RecipeError
from jepa_core.rollback.going_on import no_recipe, resume_command
from jepa_core.rollback.lineage import read_lineage
from jepa_core.rollback.plan import flags_of, rollback_command
from jepa_core.rollback.successor import successor_of
from jepa_core.rollback.ways_back import after_non_finite
from jepa_core.run_directory.layout import RECIPE
from jepa_core.run_directory.lock import is_locked
from jepa_core.run_directory.naming import typed_name
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.recorded_files import plugin_flags
from jepa_core.run_directory.settled import REAL, settled
from jepa_core.shell_words import typed_path

_READ_THE_RECIPE = ("run", "rollback", "check")


def next_commands(autopsy: Autopsy) -> dict[str, str]:
    """Command → why, the best first; none that reads a recipe which cannot be read."""
    commands = dict(_Commands(autopsy).of_kind())
    if not no_recipe(autopsy.path):
        return commands
    return {each: why for each, why in commands.items() if each == REAL or each.split()[1] not in _READ_THE_RECIPE}


class _Commands:
    def __init__(self, autopsy: Autopsy) -> None:
        self._autopsy = autopsy
        self._run = autopsy.path
        self._typed = typed_name(autopsy.path)
        reader = RunReader(autopsy.path)
        self._recipe = reader.recipe()
        self._plugins = plugin_flags(autopsy.path)

    def of_kind(self) -> Iterator[tuple[str, str]]:
        """Commands and reasons for what has ended the run."""
        by_kind: dict[Kind, Callable[[], Iterator[tuple[str, str]]]] = {
            "running": lambda: self._look("where it stands"),
            "silent": lambda: self._look("where it stands; where it hangs, end its process, then resume"),
            "finished": self._after_its_end,
            "rolled back": self._child,
            "non-finite": self._after_non_finite,
            "rule": self._after_rule,
            "memory": self._after_memory,
            "component": self._after_component,
            "failed": self._after_failure,
            "elsewhere": lambda: self._onward("once it is certain that it no longer runs there"),
        }
        return by_kind.get(self._autopsy.death.kind, lambda: self._onward(""))()

    def _look(self, why: str) -> Iterator[tuple[str, str]]:
        yield f"jepa monitor {self._typed} --once", why

    def _after_its_end(self) -> Iterator[tuple[str, str]]:
        if settled(self._run) is None:
            yield from self._onward("to make its verdict, which is missing or damaged")
        else:
            yield f"jepa verdict {self._typed}", "what it came to"

    def _child(self) -> Iterator[tuple[str, str]]:
        child = successor_of(self._run)
        if child is not None:
            yield f"jepa autopsy {typed_name(child)}", "the run that goes on in its place"
        else:
            yield from self._onward("since the run that went on in its place is gone")

    def _after_memory(self) -> Iterator[tuple[str, str]]:
        step, changes = self._autopsy.checkpoint.step, _nested(self._autopsy.out_of_memory)
        if step is not None and changes:
            yield (
                rollback_command(self._run, to=step, changes=changes),
                f"goes on from step {step} with half the micro-batch",
            )
        elif self._recipe and changes:
            yield self._anew(changes), "begins anew with half the micro-batch"

    def _after_component(self) -> Iterator[tuple[str, str]]:
        component = self._autopsy.component
        if component is not None and component.distribution:
            check = f"jepa plugins check {shlex.quote(component.distribution)}"
            yield check, "tries its components alone, and shows the smallest example that fails"
        yield from self._onward("once it is mended")

    def _after_failure(self) -> Iterator[tuple[str, str]]:
        if self._autopsy.death.exit_code == RecipeError.exit_code:
            # Its recipe is recorded, so that it fails again however it is resumed.
            if self._recipe:
                yield f"{self._anew({})} --set KEY=VALUE", "begins anew: say with which change, of what is said above"
            return
        yield from self._onward("once what it failed of is mended")

    def _after_non_finite(self) -> Iterator[tuple[str, str]]:
        step = self._autopsy.checkpoint.step
        yield from after_non_finite(self._run).items()
        if step is not None and self._autopsy.batches:
            bad = self._autopsy.batches[0].step
            if bad > step:
                steps = f"step {bad}" if bad == step + 1 else f"steps {step + 1} to {bad}"
                yield self._resume(), f"takes {steps} again, with the same draws: to see it once more"

    def _after_rule(self) -> Iterator[tuple[str, str]]:
        aborts = [event for event in self._autopsy.fired if event.name.startswith("abort ")]
        if not aborts:
            return
        scenario, change = aborts[-1].name.partition(" ")[2], aborts[-1].evidence.get("set")
        if aborts[-1].evidence.get("fault"):
            yield f"jepa check {self._typed}", "the rule with its figures"
            command = rollback_command(self._run, scenario=scenario)
            yield f"{command} --set KEY=VALUE", "say with which change: the rule's own cannot be made"
        elif isinstance(change, dict) and change:
            yield (
                rollback_command(self._run, scenario=scenario),
                "goes on from before its first sign, with the rule's change",
            )
        else:
            yield f"jepa check {self._typed}", "the rule with its figures"
            command = rollback_command(self._run, scenario=scenario)
            yield f"{command} --set KEY=VALUE", "goes on from before its first sign: say with which change"

    def _onward(self, when: str) -> Iterator[tuple[str, str]]:
        step = self._autopsy.checkpoint.step
        end = settled(self._run)
        if end is not None:
            yield REAL, f"it {end.why}"
            return
        if is_locked(self._run):
            yield from self._look("where it stands: a process trains it")
            return
        if step is None and self._is_to_begin():
            yield self._resume(), "begins: its rollback left no checkpoint to go on from"
            return
        if step is not None:
            yield self._resume(), f"goes on from step {step}{f', {when}' if when else ''}"
        elif self._recipe:
            yield self._anew({}), f"begins anew: no checkpoint can be used{f'; {when}' if when else ''}"

    def _is_to_begin(self) -> bool:
        """Whether a rollback made it to begin anew, and it has not come to a checkpoint."""
        lineage = read_lineage(self._run)
        return lineage is not None and lineage.step == 0 and not self._autopsy.checkpoint.faults

    def _resume(self) -> str:
        return resume_command(self._run)

    def _anew(self, changes: Mapping[str, Any]) -> str:
        flags = [f"--set {shlex.quote(flag)}" for flag in flags_of(changes)]
        return " ".join([f"jepa run {typed_path(self._run / RECIPE)}", *flags]) + self._plugins


def _nested(settings: Mapping[str, int]) -> dict[str, Any]:
    return {"train": {key.removeprefix("train."): value for key, value in settings.items()}} if settings else {}
