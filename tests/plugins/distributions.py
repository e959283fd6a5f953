"""Fake distributions: modules with real metadata, as pip leaves them, in a folder on the path."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from jepa_core.registry import ENTRY_POINT_GROUP

PREFIX = "fake_plugin_"

COMPONENT = """
from typing import ClassVar
import attrs
from jepa_core.hookspecs import hookimpl

@attrs.frozen(kw_only=True)
class Config:
    '''A mean that somebody else wrote.'''
    kind: ClassVar[str] = "{kind}"
    metrics: ClassVar[tuple[()]] = ()
    def build(self, facts):
        import torch
        class Mean(torch.nn.Module):
            def forward(self, values, mask):
                kept = mask.unsqueeze(-1).to(values.dtype)
                return (values * kept).sum((1, 2)) / kept.sum((1, 2)).clamp(min=1)
        return Mean()

@hookimpl
def jepa_aggregators(): return [Config]
"""


class SitePackages:
    """A folder on the path that distributions are put into."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, name: str, source: str, *, entry_point: str = "", version: str = "1.0") -> str:
        """The distribution `jepa-NAME` with one module; returns its name."""
        module = f"{PREFIX}{name}"
        (self.folder / f"{module}.py").write_text(source, encoding="utf-8")
        self.describe(name, f"[{ENTRY_POINT_GROUP}]\n{entry_point or name} = {module}\n", version)
        return f"jepa-{name}"

    def describe(self, name: str, entry_points: str, version: str = "1.0") -> None:
        """Metadata alone."""
        metadata = self.folder / f"jepa_{name}-{version}.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: jepa-{name}\nVersion: {version}\n")
        (metadata / "entry_points.txt").write_text(entry_points)

    def make_editable(self, name: str, version: str = "1.0") -> None:
        """As if it were installed by `pip install -e` from this folder."""
        told = {"url": self.folder.as_uri(), "dir_info": {"editable": True}}
        (self.folder / f"jepa_{name}-{version}.dist-info" / "direct_url.json").write_text(json.dumps(told))


def on_the_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> SitePackages:
    """Modules of the folder can be imported until the test ends, and were never imported before."""
    folder.mkdir(exist_ok=True)
    monkeypatch.syspath_prepend(str(folder))
    for module in [name for name in sys.modules if name.startswith(PREFIX)]:
        monkeypatch.delitem(sys.modules, module)
    return SitePackages(folder)
