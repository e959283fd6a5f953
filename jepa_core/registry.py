"""Which components are installed: found through the entry point group `jepa`, by family and name.

Knows families and hooks; knows no component. A plugin that cannot be used is kept with its cause, so that
`jepa plugins` lists everything and a recipe that names it gets the real reason. How they are found is in `discovery`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jepa_core.discovery.choice import PluginChoice
from jepa_core.discovery.components import Component, Registry
from jepa_core.discovery.discover import discover, installed
from jepa_core.discovery.remarks import BlockedPlugin, BrokenPlugin, ContestedComponent, SlowPlugin
from jepa_core.discovery.source import ENTRY_POINT_GROUP
from jepa_core.errors import PluginError

__all__ = [
    "ENTRY_POINT_GROUP",
    "BlockedPlugin",
    "BrokenPlugin",
    "Component",
    "ContestedComponent",
    "PluginChoice",
    "Registry",
    "SlowPlugin",
    "chosen_plugins",
    "discover",
    "installed",
    "listed_plugins",
]


def listed_plugins(files: Sequence[Path], blocked: Sequence[str]) -> Registry:
    """The components there are with those of `files`, without those of the plugins named in `blocked`.

    Raises:
        PluginError: a file cannot be read, or a name to block is no plugin's.
    """
    return installed(PluginChoice.of(files, blocked)) if files or blocked else installed()


def chosen_plugins(files: Sequence[Path], blocked: Sequence[str]) -> Registry:
    """The same, for commands that use the components: a file that was asked for has to work.

    Raises:
        PluginError: it does not; or see `listed_plugins`.
    """
    registry = listed_plugins(files, blocked)
    asked_for = {str(file) for file in files}
    for broken in registry.broken:
        if broken.distribution in asked_for:
            raise PluginError(f"--plugin {broken.distribution}: {broken.cause}.\nRemedy: {broken.remedy}.")
    return registry
