"""What to check: a component by name, all components of a distribution, or those of a plugin's file or project folder.

A path is imported, explicitly and for this process only: nothing has to be installed.
"""

from __future__ import annotations

import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from jepa_core.discovery.choice import canonical
from jepa_core.errors import PluginError, RecipeError
from jepa_core.hookspecs import FAMILIES
from jepa_core.recipes.component_search import find_components as find_by_name
from jepa_core.registry import ENTRY_POINT_GROUP, Component, Registry, discover, installed


def find_components(target: str, family: str | None = None) -> tuple[Component, ...]:
    """The components that a name or a path stands for, of all families or one.

    Args:
        target: a component's name, a distribution's name, a plugin's module file, or its project folder.
        family: only components of this family.

    Raises:
        RecipeError: there is none.
        PluginError: the plugin at the path cannot be loaded.
    """
    path = Path(target)
    if path.suffix == ".py" or path.is_dir():
        return _of_family(_at_path(path), family, target)
    registry = installed()
    wanted = canonical(target)
    of_distribution = [c for c in registry.components.values() if canonical(c.distribution) == wanted]
    has_name = any(component.name == target for component in registry.components.values())
    if of_distribution and not has_name:
        return _of_family(of_distribution, family, target)
    _require_unbroken(registry, wanted)
    return find_by_name(registry, target, family)


def _of_family(components: list[Component], family: str | None, target: str) -> tuple[Component, ...]:
    found = tuple(component for component in components if family in {None, component.family})
    if not found:
        offered = ", ".join(sorted({component.family for component in components}))
        raise RecipeError(f"{target} offers no {family}, but: {offered}\nFamilies: {', '.join(FAMILIES)}")
    return found


def _at_path(path: Path) -> list[Component]:
    if not path.exists():
        raise RecipeError(f"No plugin at {path}: there is no such file")
    points = _points_of_project(path) if path.is_dir() else [_point_of_file(path)]
    registry = discover(points)
    for broken in registry.broken:
        raise PluginError(f"{path} cannot be loaded: {broken.cause}\n{broken.remedy}")
    return list(registry.components.values())


def _point_of_file(path: Path) -> EntryPoint:
    """The entry point of a module, which may lie in a package."""
    path = path.resolve()
    names, folder = [path.stem], path.parent
    while (folder / "__init__.py").is_file():
        names.insert(0, folder.name)
        folder = folder.parent
    module = ".".join(names)
    if not all(name.isidentifier() for name in names):
        raise RecipeError(f"{path} cannot be imported: {module!r} is no module name; use letters, digits and _")
    loaded = sys.modules.get(module)
    if loaded is not None and Path(loaded.__file__ or "").resolve() != path:
        raise RecipeError(f"{path} cannot be imported: {module!r} is the name of {loaded.__file__}; rename the file")
    _make_importable(folder)
    return EntryPoint(name=path.stem, value=module, group=ENTRY_POINT_GROUP)


def _points_of_project(folder: Path) -> list[EntryPoint]:
    """The entry points that the folder's pyproject.toml declares."""
    file = folder / "pyproject.toml"
    try:
        project: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8")).get("project", {})
    except FileNotFoundError:
        raise RecipeError(f"{folder} is no plugin's project: it has no pyproject.toml") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{file} cannot be read: {error}") from error
    declared = project.get("entry-points", {}).get(ENTRY_POINT_GROUP, {})
    if not declared:
        raise RecipeError(f"{file} declares no plugin: add a table [project.entry-points.{ENTRY_POINT_GROUP}]")
    for root in (folder / "src", folder):
        if root.is_dir():
            _make_importable(root.resolve())
    return [EntryPoint(name=name, value=value, group=ENTRY_POINT_GROUP) for name, value in declared.items()]


def _make_importable(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _require_unbroken(registry: Registry, distribution: str) -> None:
    for broken in registry.broken:
        if canonical(broken.distribution) == distribution:
            raise PluginError(f"{broken.distribution} cannot be loaded: {broken.cause}\n{broken.remedy}")
