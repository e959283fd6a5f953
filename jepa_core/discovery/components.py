"""Components that can be used, by family and name, and what is not right with the plugins they may come from."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping

import attrs

from jepa_core.contracts import ComponentConfig
from jepa_core.discovery.remarks import BlockedPlugin, BrokenPlugin, ContestedComponent, PluginRemark, SlowPlugin
from jepa_core.discovery.source import LocalFile


@attrs.frozen(kw_only=True)
class Component:
    """One installed component."""

    family: str
    name: str
    config_class: type[ComponentConfig]
    distribution: str
    """Or the path of the file that it was loaded from."""
    version: str
    entry_point: str = ""

    @property
    def summary(self) -> str:
        """The first line of the configuration's docstring."""
        return (inspect.getdoc(self.config_class) or "").partition("\n")[0].rstrip(".")

    @property
    def origin(self) -> str:
        """Distribution and version, as in "jepa-core 0.1.0"."""
        return f"{self.distribution} {self.version}".strip()


@attrs.frozen(kw_only=True)
class Registry:
    """All components that can be used, and what is not right with plugins."""

    components: Mapping[tuple[str, str], Component]
    broken: tuple[BrokenPlugin, ...] = ()
    contested: tuple[ContestedComponent, ...] = ()
    slow: tuple[SlowPlugin, ...] = ()
    blocked: tuple[BlockedPlugin, ...] = ()
    benchmarks: Mapping[str, Component] = attrs.field(factory=dict)
    """What `jepa bench` can time, by name; no recipe has them."""
    files: tuple[LocalFile, ...] = ()
    """Local files that were loaded beside the installed plugins."""

    def family(self, family: str) -> dict[str, Component]:
        """Name → component of one family, by name."""
        return {c.name: c for _, c in sorted(self.components.items()) if c.family == family}

    def get(self, family: str, name: str) -> Component | None:
        return self.components.get((family, name))

    def closest(self, family: str, name: str) -> str | None:
        """The installed name most like `name`, when one is near."""
        matches = difflib.get_close_matches(name, list(self.family(family)), n=1, cutoff=0.6)
        return matches[0] if matches else None

    @property
    def remarks(self) -> tuple[PluginRemark, ...]:
        """All that is not right."""
        return (*self.broken, *self.contested, *self.slow, *self.blocked)

    def reasons(self, family: str, name: str) -> tuple[PluginRemark, ...]:
        """Why a component that is not there may be missing: plugins that claim it, or that might offer it."""
        return self.claims_on(family, name) or (*self.broken, *self.blocked)

    def claims_on(self, family: str, name: str) -> tuple[ContestedComponent, ...]:
        """Plugins that offer a component and whose component is not used, because others offer it too."""
        return tuple(claim for claim in self.contested if (claim.family, claim.name) == (family, name))
