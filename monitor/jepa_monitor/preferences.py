"""What the monitor remembers between starts: theme, remapped keys, grid, filter, axis, smoothing, alarms.

Kept in `jepa/monitor.toml` below the user's configuration folder, written as a whole. A damaged file, or a damaged
entry, counts as if it were not there, and is told of.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs

from jepa_monitor.display import AXES, MOST_COLUMNS, MOST_ROWS, SMOOTHINGS, Display, filter_pattern
from jepa_monitor.keys import known_keymap
from jepa_monitor.themes import DEFAULT_THEME, THEMES

SWITCHED_OFF = "JEPA_MONITOR_NO_PREFERENCES"
"""Environment variable: when set to anything, nothing is read or written."""
_MOST_BYTES = 1 << 16


@attrs.frozen(kw_only=True)
class Preferences:
    """The remembered choices."""

    theme: str = DEFAULT_THEME
    keys: Mapping[str, str] = attrs.field(factory=dict)
    """Action → keys, as in `keys`."""
    display: Display = attrs.field(factory=Display)
    bell: bool = True
    """Ring the terminal's bell on an alert."""
    desktop_notifications: bool = True


@attrs.frozen(kw_only=True)
class ReadPreferences:
    """Preferences as they were found."""

    preferences: Preferences
    problem: str = ""
    """What was damaged, in words."""


def preferences_path(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Where preferences lie; None where they are switched off, or the user has no home."""
    if environment.get(SWITCHED_OFF):
        return None
    given = environment.get("XDG_CONFIG_HOME", "")
    home = environment.get("HOME", "")
    folder = Path(given) if given.startswith("/") else Path(home) / ".config" if home else None
    return folder / "jepa" / "monitor.toml" if folder else None


def read_preferences(path: Path | None) -> ReadPreferences:
    """What was remembered; defaults where there is nothing, or nothing readable."""
    if path is None:
        return ReadPreferences(preferences=Preferences())
    try:
        with path.open("rb") as file:
            table = tomllib.loads(file.read(_MOST_BYTES).decode())
    except FileNotFoundError:
        return ReadPreferences(preferences=Preferences())
    except (OSError, ValueError, RecursionError) as error:
        return ReadPreferences(preferences=Preferences(), problem=f"{path} is passed over: {error}")
    return _from_table(table, path)


def write_preferences(path: Path | None, preferences: Preferences) -> str:
    """Remember. Returns what is wrong when that cannot be done, else nothing."""
    if path is None:
        return ""
    from jepa_core.recipes.writing import recipe_to_toml
    from jepa_core.run_directory.replacing import replace_file

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, recipe_to_toml(_to_table(preferences)).encode(), durable=False)
    except OSError as error:
        return f"{path} cannot be written: {error.strerror or error}"
    return ""


def _to_table(preferences: Preferences) -> dict[str, Any]:
    display = preferences.display
    return {
        "theme": preferences.theme,
        "bell": preferences.bell,
        "desktop_notifications": preferences.desktop_notifications,
        "charts": {
            "axis": display.axis,
            "smoothing": SMOOTHINGS[display.smoothing][0],
            "filter": display.filter,
            "columns": display.columns,
            "rows": display.rows,
            "log": sorted(display.log),
        },
        "keys": dict(preferences.keys),
    }


_SMOOTHING_NAMES = tuple(name for name, _ in SMOOTHINGS)


def _is_filter(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        filter_pattern(value)
    except ValueError:
        return False
    return True


def _is_count(most: int) -> Callable[[object], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most


_CHECKS: Mapping[str, Callable[[object], bool]] = {
    "theme": lambda value: value in THEMES if isinstance(value, str) else False,
    "bell": lambda value: isinstance(value, bool),
    "desktop_notifications": lambda value: isinstance(value, bool),
    "charts.axis": lambda value: value in AXES,
    "charts.smoothing": lambda value: value in _SMOOTHING_NAMES,
    "charts.filter": _is_filter,
    "charts.columns": _is_count(MOST_COLUMNS),
    "charts.rows": _is_count(MOST_ROWS),
    "charts.log": lambda value: isinstance(value, list) and all(isinstance(key, str) for key in value),
}


def _from_table(table: Mapping[str, Any], path: Path) -> ReadPreferences:
    charts, keys = table.get("charts", {}), table.get("keys", {})
    charts, keys = (part if isinstance(part, Mapping) else {} for part in (charts, keys))
    given = {**table, **{f"charts.{name}": value for name, value in charts.items()}}
    good = {name: given[name] for name, check in _CHECKS.items() if name in given and check(given[name])}
    bad = [name for name in _CHECKS if name in given and name not in good]
    keymap = known_keymap(keys.items())
    bad += [f"keys.{name}" for name in keys if name not in keymap]
    preferences = Preferences(
        theme=good.get("theme", DEFAULT_THEME),
        keys=keymap,
        display=_display(good),
        bell=good.get("bell", True),
        desktop_notifications=good.get("desktop_notifications", True),
    )
    problem = f"{path}: not understood, and passed over: {', '.join(bad)}" if bad else ""
    return ReadPreferences(preferences=preferences, problem=problem)


def _display(good: Mapping[str, Any]) -> Display:
    return Display(
        axis=good.get("charts.axis", "step"),
        smoothing=_SMOOTHING_NAMES.index(good.get("charts.smoothing", "off")),
        filter=good.get("charts.filter", ""),
        columns=good.get("charts.columns", 0),
        rows=good.get("charts.rows", 0),
        log=frozenset(good.get("charts.log", ())),
    )
