"""Flags that several commands have, and what the plugin flags among them select."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from jepa_core.registry import Registry

Overrides = Annotated[tuple[str, ...], Parameter(name="--set", negative="", show_default=False)]
PluginFiles = Annotated[
    tuple[Path, ...],
    Parameter(
        name="--plugin",
        negative="",
        show_default=False,
        help="A local Python file with a plugin, which is run; may be repeated.",
    ),
]
NoPlugins = Annotated[
    tuple[str, ...],
    Parameter(
        name="--no-plugin",
        negative="",
        show_default=False,
        help="A plugin that is not imported, by its distribution or entry point; may be repeated. "
        "JEPA_DISABLE_PLUGINS does the same, names apart by commas.",
    ),
]


def listed_plugins(files: Sequence[Path], blocked: Sequence[str]) -> Registry:
    """The components that the flags leave and add, and what is not right with plugins.

    Raises:
        PluginError: a file cannot be read, or a name to block is no plugin's.
    """
    from jepa_core.registry import PluginChoice, installed

    return installed(PluginChoice.of(files, blocked)) if files or blocked else installed()


def chosen_plugins(files: Sequence[Path], blocked: Sequence[str]) -> Registry:
    """The same, for commands that use the components: a file that was asked for has to work.

    Raises:
        PluginError: it does not; or see `listed_plugins`.
    """
    from jepa_core.errors import PluginError

    registry = listed_plugins(files, blocked)
    asked_for = {str(file) for file in files}
    for broken in registry.broken:
        if broken.distribution in asked_for:
            raise PluginError(f"--plugin {broken.distribution}: {broken.cause}.\nRemedy: {broken.remedy}.")
    return registry
