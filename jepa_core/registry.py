"""Which components are installed: found through the entry point group `jepa`, by family and name.

Knows families and hooks; knows no component. A plugin that cannot be loaded is kept with its cause, so that
`jepa plugins` lists everything and a recipe that names it gets the real reason.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import re
from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import attrs
import pluggy

from jepa_core import hookspecs
from jepa_core.contracts import ComponentConfig
from jepa_core.errors import PluginError

ENTRY_POINT_GROUP = "jepa"

_NAME = re.compile("[a-z][a-z0-9_]*")
"""Names that can stand in a recipe, as a loss's table too."""


@attrs.frozen(kw_only=True)
class Component:
    """One installed component."""

    family: str
    name: str
    config_class: type[ComponentConfig]
    distribution: str
    version: str

    @property
    def summary(self) -> str:
        """The first line of the configuration's docstring."""
        return (inspect.getdoc(self.config_class) or "").partition("\n")[0].rstrip(".")

    @property
    def origin(self) -> str:
        """Distribution and version, as in "jepa-core 0.1.0"."""
        return f"{self.distribution} {self.version}".strip()


@attrs.frozen(kw_only=True)
class BrokenPlugin:
    """A plugin that could not be loaded or does not keep to the contract."""

    distribution: str
    version: str
    entry_point: str
    cause: str
    remedy: str


@attrs.frozen(kw_only=True)
class Registry:
    """All installed components, and the plugins that could not be loaded."""

    components: Mapping[tuple[str, str], Component]
    broken: tuple[BrokenPlugin, ...] = ()

    def family(self, family: str) -> dict[str, Component]:
        """Name → component of one family, by name."""
        return {c.name: c for _, c in sorted(self.components.items()) if c.family == family}

    def get(self, family: str, name: str) -> Component | None:
        return self.components.get((family, name))

    def closest(self, family: str, name: str) -> str | None:
        """The installed name most like `name`, when one is near."""
        matches = difflib.get_close_matches(name, list(self.family(family)), n=1, cutoff=0.6)
        return matches[0] if matches else None


def discover(points: Iterable[EntryPoint] | None = None) -> Registry:
    """Load every plugin of the entry point group.

    Raises:
        PluginError: nothing at all is registered, as in a clone that is not installed.
    """
    found = list(entry_points(group=ENTRY_POINT_GROUP) if points is None else points)
    if not found:
        raise PluginError(
            f"No component is installed: no distribution offers an entry point of the group {ENTRY_POINT_GROUP!r}.\n"
            "A clone has to be installed first: make run, or pip install -c constraints.txt -e '.[dev]'"
        )
    collected = _Collected()
    for point in sorted(found, key=lambda p: (p.dist.name if p.dist else "", p.name)):
        collected.load(point)
    return Registry(components=collected.components, broken=tuple(collected.broken))


@functools.cache
def installed() -> Registry:
    """The components of this environment; discovered once a process."""
    return discover()


class _Collected:
    """Components and faults gathered so far, one plugin manager a plugin so that one cannot stop another."""

    def __init__(self) -> None:
        self.components: dict[tuple[str, str], Component] = {}
        self.broken: list[BrokenPlugin] = []

    def load(self, point: EntryPoint) -> None:
        distribution = point.dist.name if point.dist else point.value
        version = point.dist.version if point.dist else ""
        try:
            self._add(point, distribution, version)
        except (Exception, SystemExit) as error:
            cause = str(error) if isinstance(error, PluginError) else f"{type(error).__name__}: {error}"
            self.broken.append(
                BrokenPlugin(
                    distribution=distribution,
                    version=version,
                    entry_point=point.name,
                    cause=cause,
                    remedy=_remedy(error, distribution),
                )
            )

    def _add(self, point: EntryPoint, distribution: str, version: str) -> None:
        new: dict[tuple[str, str], Component] = {}
        for family, config_class in _offered(point):
            key = (family, config_class.kind)
            taken = self.components.get(key) or new.get(key)
            if taken is not None:
                raise PluginError(f"offers the {family} {config_class.kind!r}, which {taken.origin} offers too")
            new[key] = Component(
                family=family,
                name=config_class.kind,
                config_class=config_class,
                distribution=distribution,
                version=version,
            )
        self.components.update(new)


def _offered(point: EntryPoint) -> list[tuple[str, type[ComponentConfig]]]:
    """Family and configuration class of everything that a plugin offers; a reason is raised when it cannot be used."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(point.load(), name=point.name)
    manager.check_pending()
    offered = [
        (family, config_class)
        for family, hook in hookspecs.FAMILIES.items()
        for classes in getattr(manager.hook, hook)()
        for config_class in classes
        if _accepted(config_class, hook)
    ]
    if not offered:
        hooks = ", ".join(hookspecs.FAMILIES.values())
        raise PluginError(f"{point.value} offers nothing: decorate one of {hooks} with `hookimpl`")
    return offered


def _accepted(config_class: Any, hook: str) -> bool:
    """Whether the class is one we can use; a reason is raised otherwise."""
    if not (isinstance(config_class, type) and attrs.has(config_class)):
        raise PluginError(f"{hook} returned {config_class!r}, which is not an attrs class")
    if config_class.__setattr__ is object.__setattr__:
        raise PluginError(f"{hook} returned {config_class.__name__}, which is not frozen: use @attrs.frozen")
    kind = getattr(config_class, "kind", None)
    if not isinstance(kind, str):
        raise PluginError(f"{hook} returned {config_class.__name__}, which has no name: add `kind: ClassVar[str]`")
    if not _NAME.fullmatch(kind):
        raise PluginError(
            f"{hook} returned {config_class.__name__} of kind {kind!r}: use a-z, 0-9 and _, a letter first"
        )
    if not isinstance(getattr(config_class, "metrics", None), tuple):
        missing = "`metrics: ClassVar[tuple[Metric, ...]] = ()`"
        raise PluginError(f"{hook} returned {config_class.__name__}, which declares no metrics: add {missing}")
    if not callable(getattr(config_class, "build", None)):
        raise PluginError(f"{hook} returned {config_class.__name__}, which has no build(facts)")
    return True


def _remedy(error: BaseException, distribution: str) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"pip install {error.name.partition('.')[0]}, or pip uninstall {distribution}"
    return f"update {distribution} or tell its author, or pip uninstall {distribution}"
