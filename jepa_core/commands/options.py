"""Flags that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from jepa_core.commands.flag import Flag

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
Tags = Annotated[tuple[str, ...], Parameter(name="--tag", negative="", show_default=False)]
Step = Annotated[
    str,
    Parameter(
        show_default=False,
        help="A step's number, best or newest; the best where the run kept one, else the newest, when not given.",
    ),
]
Device = Annotated[str, Parameter(help="auto, cpu, cuda or cuda:N.")]
RunsDir = Annotated[Path, Parameter(help="The folder with the run directories.")]
Force = Annotated[Flag, Parameter(help="Replace a file that is there.")]
