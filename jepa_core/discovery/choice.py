"""Which plugins a command shall use: those that are blocked, and local files that are loaded too.

A plugin is called by its distribution's name, as pip knows it, or by its entry point's. Nothing is imported here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

ENVIRONMENT_VARIABLE = "JEPA_DISABLE_PLUGINS"
FLAG = "--no-plugin"


@attrs.frozen(kw_only=True)
class PluginChoice:
    """What flags and environment say about plugins."""

    files: tuple[Path, ...] = ()
    """Local files, from `--plugin`."""
    blocked: tuple[str, ...] = ()
    """Names from `--no-plugin`; each must be a plugin's."""
    blocked_by_environment: tuple[str, ...] = ()
    """Names from `JEPA_DISABLE_PLUGINS`; one that is no plugin's is left alone."""

    @staticmethod
    def of(
        files: Sequence[Path] = (), blocked: Sequence[str] = (), environment: Mapping[str, str] = os.environ
    ) -> PluginChoice:
        """From a command's flags and the environment."""
        names = (name.strip() for name in environment.get(ENVIRONMENT_VARIABLE, "").split(","))
        return PluginChoice(
            files=tuple(files), blocked=tuple(blocked), blocked_by_environment=tuple(filter(None, names))
        )

    def blocker_of(self, distribution: str, entry_point: str) -> str | None:
        """The flag or variable that blocks a plugin, as the user gave it; None when it is wanted."""
        names = {canonical(distribution), canonical(entry_point)}
        if flag := next((name for name in self.blocked if canonical(name) in names), None):
            return f"{FLAG} {flag}"
        if variable := next((name for name in self.blocked_by_environment if canonical(name) in names), None):
            return f"{ENVIRONMENT_VARIABLE}={variable}"
        return None


def canonical(name: str) -> str:
    """A distribution's name in the one spelling that the package index compares."""
    return re.sub(r"[-_.]+", "-", name).lower()
