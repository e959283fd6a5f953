"""What is installed: three typed packages, one command, one entry point."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from importlib.metadata import distribution, entry_points
from pathlib import Path

import pytest

import jepa_core
from jepa_core.registry import ENTRY_POINT_GROUP

ROOT = Path(__file__).parents[2]
PACKAGES = {"jepa_core": "jepa_core", "jepa_plugins": "plugins/jepa_plugins", "jepa_monitor": "monitor/jepa_monitor"}


@pytest.mark.parametrize("folder", PACKAGES.values())
def test_a_package_says_that_it_is_typed(folder: str) -> None:
    assert (ROOT / folder / "py.typed").is_file()


def test_the_command_and_the_built_in_components_are_entry_points() -> None:
    points = {(point.group, point.name, point.value) for point in distribution("jepa-core").entry_points}
    assert ("console_scripts", "jepa", "jepa_core.cli:main") in points
    assert (ENTRY_POINT_GROUP, "builtin", "jepa_plugins.plugin") in points
    assert "builtin" in {point.name for point in entry_points(group=ENTRY_POINT_GROUP)}


def test_the_version_is_told_once() -> None:
    assert distribution("jepa-core").version == jepa_core.__version__


@pytest.mark.slow
def test_the_wheel_holds_three_packages_and_nothing_else(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = next(archive.read(name).decode() for name in names if name.endswith(".dist-info/METADATA"))
    packages = {name.partition("/")[0] for name in names}
    assert {name for name in packages if not name.endswith(".dist-info")} == set(PACKAGES)
    assert {f"{package}/py.typed" for package in PACKAGES} <= names
    shipped = {
        str(path.relative_to(ROOT / folder)) for folder in PACKAGES.values() for path in (ROOT / folder).rglob("*.py")
    }
    assert {name.partition("/")[2] for name in names if name.endswith(".py")} == shipped
    templates = {f"jepa_core/scaffold/{path.name}" for path in (ROOT / "jepa_core" / "scaffold").glob("*.txt")}
    assert templates
    assert templates <= names
    assert "License-Expression: Apache-2.0" in metadata
    assert any(name.endswith("LICENSE") for name in names)
