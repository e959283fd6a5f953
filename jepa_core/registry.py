"""Which components are installed: found through the entry point group `jepa`, by family and name.

Knows families and hooks; knows no component. A plugin that cannot be used is kept with its cause, so that
`jepa plugins` lists everything and a recipe that names it gets the real reason. How they are found is in `plugins`.
"""

from __future__ import annotations

from jepa_core.plugins.choice import PluginChoice
from jepa_core.plugins.components import Component, Registry
from jepa_core.plugins.discovery import discover, installed
from jepa_core.plugins.remarks import BlockedPlugin, BrokenPlugin, ContestedComponent, SlowPlugin
from jepa_core.plugins.source import ENTRY_POINT_GROUP

__all__ = [
    "ENTRY_POINT_GROUP",
    "BlockedPlugin",
    "BrokenPlugin",
    "Component",
    "ContestedComponent",
    "PluginChoice",
    "Registry",
    "SlowPlugin",
    "discover",
    "installed",
]
