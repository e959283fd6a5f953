"""A plugin that `jepa plugins new` writes, made visible as if pip had installed it."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jepa_core.registry import ENTRY_POINT_GROUP, Registry, installed
from jepa_core.scaffold.folder import write_folder
from jepa_core.scaffold.new_plugin import NewPlugin


@contextmanager
def installed_plugin(plugin: NewPlugin, folder: Path) -> Iterator[Registry]:
    """All components of this environment and the plugin's, written to the folder."""
    write_folder(folder, plugin.contents())
    with visible(folder) as registry:
        yield registry


@contextmanager
def visible(folder: Path) -> Iterator[Registry]:
    """All components of this environment and of the distribution in the folder, by its pyproject.toml."""
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    points = project["entry-points"][ENTRY_POINT_GROUP]
    metadata = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    lines = "".join(f"{name} = {value}\n" for name, value in points.items())
    (metadata / "entry_points.txt").write_text(f"[{ENTRY_POINT_GROUP}]\n{lines}")
    packages = {value.partition(".")[0] for value in points.values()}
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        installed.cache_clear()
        yield installed()
    installed.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] in packages]:
        del sys.modules[name]
