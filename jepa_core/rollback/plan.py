"""What a rollback would do, as plain data: shown by the command and the monitor, and passed between the two as JSON.

Knows nothing of components, so that the monitor can have it without torch.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import attrs
import cattrs
import orjson

from jepa_core.recipes.difference import Change
from jepa_core.recipes.writing import toml_key, value_to_toml
from jepa_core.recorded_numbers import encode
from jepa_core.run_directory.naming import typed_name
from jepa_core.run_directory.recorded_files import plugin_flags
from jepa_core.shell_words import typed_flag

_STEP = re.compile(r"[0-9]{1,18}")


@attrs.frozen(kw_only=True)
class RollbackPlan:
    """What would be done, as plain data."""

    scenario: str = ""
    """Id of the rule that fired; empty for a rollback by hand."""
    title: str = ""
    """What happened, in words."""
    message: str = ""
    """What fired, with its figures."""
    advice: str = ""
    fired_step: int | None = None
    first_sign: float | None = None
    """The first step that what fired can be seen at."""
    checkpoint_step: int | None = None
    """None: training would begin anew."""
    checkpoint: str | None = None
    """The directory of what training would go on from."""
    evidence: Mapping[str, Any] = attrs.field(factory=dict)
    rows: tuple[Mapping[str, Any], ...] = ()
    """The newest recorded values of what the rule looks at."""
    set: Mapping[str, Any] = attrs.field(factory=dict)
    """Recipe values to change, as nested tables."""
    use: str = ""
    """Another recipe to use, whole."""
    changes: tuple[Change, ...] = ()
    """How the recipe would differ."""
    command: str = ""
    """What to type for exactly this."""
    notes: tuple[str, ...] = ()
    """What else to know, such as checkpoints that cannot be used, and rules that do not fit."""

    @property
    def changes_in_words(self) -> tuple[str, ...]:
        """Each change in a few words."""
        return tuple(map(change_in_words, self.changes))

    def describe(self) -> str:
        """In words, such as "B, loss near zero, first seen at step 40: from step 30 with losses.x.weight 0 → 1"."""
        cause = ", ".join(dict.fromkeys(part for part in (self.scenario, self.title) if part)) or "by hand"
        seen = f", first seen at step {self.first_sign:.0f}" if self.first_sign is not None else ""
        start = f"from step {self.checkpoint_step}" if self.checkpoint_step else "from the start"
        return f"{cause}{seen}: {start} with {', '.join(self.changes_in_words) or 'the same recipe'}"

    def to_json(self) -> bytes:
        """As JSON; non-finite numbers as text."""
        return orjson.dumps(encode(attrs.asdict(self)), option=orjson.OPT_INDENT_2)

    @staticmethod
    def from_json(text: bytes) -> RollbackPlan:
        """The inverse.

        Raises:
            ValueError: the text is no plan's.
        """
        try:
            return cattrs.structure({**orjson.loads(text)}, RollbackPlan)
        except (cattrs.BaseValidationError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"it is no plan of a rollback: {type(error).__name__}") from error


def rollback_command(
    run: Path, *, scenario: str = "", to: int | None = None, changes: Mapping[str, Any] | None = None, use: str = ""
) -> str:
    """What to type for a rollback, now or later: a shortened name may come to mean other runs too. With the local
    plugins that the run was made with."""
    given = [("--scenario", scenario), ("--to", "" if to is None else str(to)), ("--use", use)]
    given += [("--set", flag) for flag in flags_of(changes or {})]
    words = [typed_flag(flag, value) for flag, value in given if value]
    return " ".join(["jepa rollback", typed_name(run), *words]) + plugin_flags(run)


def flagged_command(run: Path, scenario: str, evidence: Mapping[str, Any]) -> str:
    """What to type after a rule has fired, by what the event of it says; empty where nothing can be. Nothing of that
    is in it but a step: it may be a stranger's."""
    recorded = evidence.get("command", "jepa rollback")
    try:
        words = shlex.split(recorded) if isinstance(recorded, str) else []
    except ValueError:
        words = []
    to = next((int(word) for before, word in pairwise(words) if before == "--to" and _STEP.fullmatch(word)), None)
    command = rollback_command(run, scenario="" if to is not None else scenario, to=to)
    return f"{command}{' --set KEY=VALUE' if 'KEY=VALUE' in words else ''}" if words else ""


def flags_of(changes: Mapping[str, Any]) -> list[str]:
    """Nested tables as `--set` has them: one `KEY=VALUE` for each value."""
    return [f"{key}={value_to_toml(value)}" for key, value in leaves(changes)]


def change_in_words(change: Change) -> str:
    """Such as "aggregator.kind attention → mean"."""
    return f"{change.key} {_value(change.left)} → {_value(change.right)}"


def _value(value: Any) -> str:
    if value is None:
        return "(none)"
    return value if isinstance(value, str) else value_to_toml(value)


def leaves(changes: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """The values of nested tables, each with its dotted key."""
    for key, value in changes.items():
        path = f"{above}{toml_key(str(key))}"
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{path}.")
        else:
            yield path, value
