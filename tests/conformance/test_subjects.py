"""What can be checked: a component or a distribution by name, a module file, a project folder."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from jepa_core.conformance import check_component, find_components
from jepa_core.errors import PluginError, RecipeError

PLUGIN = '''
from typing import ClassVar
import attrs
import torch
from torch import nn
from jepa_core.hookspecs import hookimpl

@attrs.frozen(kw_only=True)
class SeesMaskedConfig:
    """Mean over all slots, masked ones too."""
    kind: ClassVar[str] = "sees_masked"
    metrics: ClassVar[tuple[()]] = ()
    def build(self, facts): return SeesMasked()

class SeesMasked(nn.Module):
    def forward(self, values, mask): return values.mean((1, 2))

@hookimpl
def jepa_aggregators(): return [SeesMaskedConfig]
'''


@pytest.fixture(autouse=True)
def _imports_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """The path is put back after each test, and modules of the plugins here are forgotten."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in [name for name in sys.modules if name.partition(".")[0].startswith("plugin_to_check")]:
        monkeypatch.delitem(sys.modules, name)


def project(folder: Path, source: str = PLUGIN) -> Path:
    """A project folder with the plugin in a package under `src`."""
    package = folder / "src" / "plugin_to_check_package"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "plugin.py").write_text(source)
    entry_point = "[project.entry-points.jepa]\nmine = 'plugin_to_check_package.plugin'\n"
    (folder / "pyproject.toml").write_text(f"[project]\nname = 'jepa-mine'\n{entry_point}")
    return folder


def test_a_component_is_found_by_name_and_family() -> None:
    (component,) = find_components("attention")
    assert (component.family, component.name) == ("aggregator", "attention")
    assert find_components("ema_vq", "quantizer")
    with pytest.raises(RecipeError, match="No loss named ema_vq"):
        find_components("ema_vq", "loss")


def test_all_components_of_a_distribution_are_found_however_it_is_spelt() -> None:
    losses = find_components("Jepa_Core", "loss")
    assert {"info_nce", "sigreg"} <= {component.name for component in losses}
    assert {component.family for component in losses} == {"loss"}


def test_a_module_file_is_imported_and_its_components_checked(tmp_path: Path) -> None:
    file = tmp_path / "plugin_to_check_file.py"
    file.write_text(PLUGIN)
    (component,) = find_components(str(file))
    failed = [result.check for result in check_component(component) if result.failed]
    assert failed == ["masked-slots"]


def test_a_module_within_a_package_is_imported_as_part_of_it(tmp_path: Path) -> None:
    file = project(tmp_path) / "src" / "plugin_to_check_package" / "plugin.py"
    (component,) = find_components(str(file))
    assert component.config_class.__module__ == "plugin_to_check_package.plugin"


def test_a_project_folder_offers_what_its_pyproject_declares(tmp_path: Path) -> None:
    (component,) = find_components(str(project(tmp_path)))
    assert component.name == "sees_masked"
    with pytest.raises(RecipeError, match="offers no loss, but: aggregator"):
        find_components(str(tmp_path), "loss")


def test_a_plugin_that_cannot_be_loaded_is_an_error_with_its_cause(tmp_path: Path) -> None:
    with pytest.raises(
        PluginError, match=r"(?s)No module named 'faiss_of_nobody'.*the package that faiss_of_nobody comes from"
    ):
        find_components(str(project(tmp_path, "import faiss_of_nobody")))


@pytest.mark.parametrize(
    ("pyproject", "message"),
    [
        (None, "it has no pyproject.toml"),
        ("[project]\nname = 'x'\n", r"declares no plugin: add a table \[project.entry-points.jepa\]"),
        ("[project", "cannot be read"),
    ],
)
def test_a_folder_that_is_no_plugin_is_refused(tmp_path: Path, pyproject: str | None, message: str) -> None:
    if pyproject is not None:
        (tmp_path / "pyproject.toml").write_text(pyproject)
    with pytest.raises(RecipeError, match=message):
        find_components(str(tmp_path))


def test_a_file_that_is_missing_or_cannot_be_a_module_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="there is no such file"):
        find_components(str(tmp_path / "nothing.py"))
    (tmp_path / "my-loss.py").write_text(PLUGIN)
    with pytest.raises(RecipeError, match="'my-loss' is no module name"):
        find_components(str(tmp_path / "my-loss.py"))
    (tmp_path / "json.py").write_text(PLUGIN)
    with pytest.raises(RecipeError, match=r"'json' is the name of .*; rename the file"):
        find_components(str(tmp_path / "json.py"))
