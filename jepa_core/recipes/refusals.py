"""What cattrs refused, in words: every exception of a failed table becomes one problem of the recipe."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
from cattrs.errors import (
    AttributeValidationNote,
    ClassValidationError,
    ForbiddenExtraKeysError,
    IterableValidationError,
    IterableValidationNote,
)

from jepa_core.recipes.expectations import as_text, expected, value_words, without_none
from jepa_core.recipes.faults import MOST_HINTS, Problem, did_you_mean, hint_at_key
from jepa_core.recipes.key_path import KeyPath, dotted
from jepa_core.recipes.strict_converter import LARGEST_INTEGER, RefusedError, key_of, strict_converter
from jepa_core.settings import Setting, setting_of

_NO_SETTING = Setting(doc="")


@attrs.frozen(kw_only=True)
class TableReader:
    """Structures one table, and says all that is wrong with it."""

    root: dict[str, Any]
    """The whole recipe, for rules' ids in messages."""
    path: KeyPath
    component: str = ""
    """The component that the table configures."""
    generic_keys: tuple[str, ...] = ()
    """Keys of the table that are not the class's."""

    def read(self, table: Any, owner: type[Any]) -> tuple[Any, list[Problem]]:
        """The instance, or None and the problems."""
        try:
            return strict_converter().structure(table, owner), []
        except Exception as error:  # a component's class may raise anything of its own
            return None, list(self._problems(error, owner, self.path, _NO_SETTING))

    def _problems(self, error: Exception, kind: Any, path: KeyPath, setting: Setting) -> Iterator[Problem]:
        if isinstance(error, ClassValidationError):
            for inner in error.exceptions:
                yield from self._class_problems(inner, error.cl, path)
        elif isinstance(error, IterableValidationError):
            for inner in error.exceptions:
                note = _note(inner, IterableValidationNote)
                yield from self._problems(inner, note.type, (*path, note.index), setting)
        elif isinstance(error, RefusedError):
            problem = self._problem(path, _refusal(error.value, kind, setting))
            yield attrs.evolve(problem, as_text=_text_meant(error.value, kind, setting))
        else:
            yield self._problem(path, str(error) or type(error).__name__)

    def _class_problems(self, error: Exception, owner: type[Any], path: KeyPath) -> Iterator[Problem]:
        note = _note(error, AttributeValidationNote)
        if isinstance(error, ForbiddenExtraKeysError):
            for number, key in enumerate(sorted(error.extra_fields)):
                yield self._unknown_key(key, owner, path, hints=number < MOST_HINTS)
        elif note is None:
            yield from self._problems(error, owner, path, _NO_SETTING)
        elif isinstance(error, KeyError):
            yield self._missing(note.name, note.type, owner, path)
        else:
            description = setting_of(attrs.fields_dict(owner)[note.name])
            yield from self._problems(error, note.type, (*path, key_of(owner, note.name)), description)

    def _unknown_key(self, key: str, owner: type[Any], path: KeyPath, *, hints: bool) -> Problem:
        generic = self.generic_keys if path == self.path else ()
        known = [*generic, *(key_of(owner, a.name) for a in attrs.fields(owner) if a.init)]
        hint = hint_at_key(key, known) if hints else ""
        message = f"no field of this name in {dotted(path, self.root)}.{hint}"
        return self._problem((*path, key), message, f"fields: {', '.join(known)}", at_key=True)

    def _missing(self, field: str, kind: Any, owner: type[Any], path: KeyPath) -> Problem:
        description = setting_of(attrs.fields_dict(owner)[field])
        message = f"{key_of(owner, field)} is missing; it takes {expected(kind, description)}"
        return self._problem(path, message, *([description.doc] if description.doc else []), at_key=True)

    def _problem(self, path: KeyPath, message: str, *notes: str, at_key: bool = False) -> Problem:
        return Problem(path=path, message=message, notes=notes, component=self.component, at_key=at_key)


def _refusal(value: Any, kind: Any, setting: Setting) -> str:
    choices = setting.choices or _literal_choices(kind)
    words = [choice for choice in choices if isinstance(choice, str)]
    near = did_you_mean(value, words) if isinstance(value, str) else ""
    takes = _within_64_bits(expected(kind, setting), value, setting)
    return f"expected {takes}, got {value_words(value)}" + (f".{near}" if near else "")


def _text_meant(value: Any, kind: Any, setting: Setting) -> str:
    """The value as text, where the field takes that text; else empty."""
    choices = setting.choices or _literal_choices(kind)
    takes_any = not choices and without_none(kind) in (str, Path)
    text = as_text(value)
    return text if takes_any or text in choices else ""


def _within_64_bits(takes: str, value: Any, setting: Setting) -> str:
    """What a field takes, with the limit of all whole numbers for a value beyond it that the field's range allows."""
    limit = LARGEST_INTEGER if isinstance(value, int) and value > 0 else -LARGEST_INTEGER
    if not isinstance(value, int) or abs(value) <= LARGEST_INTEGER or not setting.allows(limit):
        return takes
    bound = f"{'≤' if value > 0 else '≥'} {limit}"
    if takes.startswith("a whole number"):
        return f"{takes} and {bound}" if setting.range_text() else f"{takes} {bound}"
    return f"{takes} and, of whole numbers, {bound}" if takes.startswith("a number") else takes


def _literal_choices(kind: Any) -> tuple[Any, ...]:
    kind = without_none(kind)
    return typing.get_args(kind) if typing.get_origin(kind) is typing.Literal else ()


def _note(error: Exception, kind: type[Any]) -> Any:
    """The note that cattrs left on an exception; None without one."""
    return next((note for note in getattr(error, "__notes__", ()) if isinstance(note, kind)), None)
