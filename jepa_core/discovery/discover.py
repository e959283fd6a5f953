"""Every plugin loaded, each by itself, and what they offer gathered into a `Registry`.

Nothing depends on the order in which plugins are found: of an entry point name or a component that several
distributions claim the built-in one is used, or else none.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import EntryPoint

from jepa_core.discovery.choice import FLAG, PluginChoice
from jepa_core.discovery.components import Component, Registry
from jepa_core.discovery.offer import LONGEST_CAUSE, BrokenOfferError, Offer, in_words, offers_of
from jepa_core.discovery.remarks import OWN_DISTRIBUTION, BlockedPlugin, BrokenPlugin, ContestedComponent, SlowPlugin
from jepa_core.discovery.source import (
    ENTRY_POINT_GROUP,
    InstalledPlugin,
    LocalFile,
    PluginSource,
    installed_plugins,
    place_in,
    place_of,
)
from jepa_core.errors import PluginError
from jepa_core.hookspecs import BENCHMARK
from jepa_core.visible_text import clean

SLOW_SECONDS = 2.0
"""Importing a plugin for longer is reported."""


def discover(
    points: Iterable[EntryPoint] | None = None,
    *,
    choice: PluginChoice | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Registry:
    """Load every plugin of the entry point group, and the local files of `choice`.

    Raises:
        PluginError: nothing at all is registered, as in a clone that is not installed; a local file cannot be read;
            or a name to block is no plugin's.
    """
    choice = choice or PluginChoice()
    installed_sources = installed_plugins() if points is None else [InstalledPlugin(point) for point in points]
    if not installed_sources:
        raise PluginError(
            f"No component is installed: no distribution offers an entry point of the group {ENTRY_POINT_GROUP!r}.\n"
            "A clone has to be installed first: make run, or pip install -c constraints.txt -e '.[dev]'"
        )
    files = tuple(LocalFile.read(path) for path in choice.files)
    sources = sorted([*installed_sources, *files], key=lambda source: (source.distribution, source.name))
    _check_blocked(choice, sources)
    discovery = _Discovery(clock)
    for source in discovery.with_own_name(discovery.unblocked(sources, choice)):
        discovery.load(source)
    return discovery.registry(files)


@functools.cache
def installed(choice: PluginChoice | None = None) -> Registry:
    """The components of this environment; discovered once a process for each choice. None: what the environment
    says."""
    return discover(choice=choice or PluginChoice.of())


def _check_blocked(choice: PluginChoice, sources: Sequence[PluginSource]) -> None:
    """
    Raises:
        PluginError: a flag names no plugin. A misspelt name would import what the user wants kept out.
    """
    for name in choice.blocked:
        single = PluginChoice(blocked=(name,))
        if not any(single.blocker_of(source.distribution, source.name) for source in sources):
            known = ", ".join(f"{source.distribution} ({source.name})" for source in sources)
            raise PluginError(f"{FLAG} {name}: there is no plugin of this name. Installed: {known}")


class _Discovery:
    """Offers and remarks gathered so far. Each plugin is loaded by itself, so that none can stop another."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._claims: dict[tuple[str, str], list[Component]] = {}
        self._broken: list[BrokenPlugin] = []
        self._slow: list[SlowPlugin] = []
        self._blocked: list[BlockedPlugin] = []

    def unblocked(self, sources: Iterable[PluginSource], choice: PluginChoice) -> list[PluginSource]:
        """Without those that shall not be imported."""
        wanted = []
        for source in sources:
            blocker = choice.blocker_of(source.distribution, source.name)
            if blocker is None:
                wanted.append(source)
            else:
                self._blocked.append(BlockedPlugin(**_identity(source), blocker=blocker))
        return wanted

    def with_own_name(self, sources: Sequence[PluginSource]) -> list[PluginSource]:
        """Without those whose entry point's name is another's too: a name must mean one plugin."""
        alone = []
        for source in sources:
            others = [other for other in sources if other.name == source.name and other is not source]
            if not others or source.distribution == OWN_DISTRIBUTION:
                alone.append(source)
                continue
            names = " and ".join(sorted(other.distribution for other in others))
            cause = f"its entry point is named {source.name!r}, as is that of {names}"
            remedy = f"leave one out: {FLAG} {source.distribution}, or tell its author to name it otherwise"
            self._broken.append(BrokenPlugin(**_identity(source), cause=cause, remedy=remedy))
        return alone

    def load(self, source: PluginSource) -> None:
        """Import a plugin and take what it offers; whatever it raises is kept as its cause."""
        started = self._clock()
        try:
            components = _components(source, offers_of(source.load()))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit and worse: no plugin may end the program
            cause, remedy = in_words(error), _remedy(error, source)
            self._broken.append(BrokenPlugin(**_identity(source), cause=cause, remedy=remedy))
            return
        seconds = self._clock() - started
        if seconds > SLOW_SECONDS and source.distribution != OWN_DISTRIBUTION:
            self._slow.append(SlowPlugin(**_identity(source), seconds=seconds, is_own=source.own_source is not None))
        for component in components:
            self._claims.setdefault((component.family, component.name), []).append(component)

    def registry(self, files: tuple[LocalFile, ...]) -> Registry:
        """What was found, each component that several plugins claim decided."""
        used: dict[tuple[str, str], Component] = {}
        contested: list[ContestedComponent] = []
        for key, claimants in self._claims.items():
            winner = claimants[0] if len(claimants) == 1 else _built_in(claimants)
            if winner is not None:
                used[key] = winner
            contested += [_claim(loser, claimants) for loser in claimants if loser is not winner]
        benchmarks = {name: used.pop((family, name)) for family, name in sorted(used) if family == BENCHMARK}
        return Registry(
            components=used,
            benchmarks=benchmarks,
            broken=tuple(sorted(self._broken, key=lambda plugin: (plugin.distribution, plugin.entry_point))),
            contested=tuple(contested),
            slow=tuple(self._slow),
            blocked=tuple(self._blocked),
            files=files,
        )


def _identity(source: PluginSource) -> dict[str, str]:
    return {"distribution": source.distribution, "version": source.version, "entry_point": source.name}


def _components(source: PluginSource, offers: Iterable[Offer]) -> list[Component]:
    """
    Raises:
        PluginError: the plugin offers one component twice.
    """
    components: dict[tuple[str, str], Component] = {}
    identity = _identity(source)  # once: each look reads the distribution's metadata from its file
    for family, config_class in offers:
        component = Component(family=family, name=config_class.kind, config_class=config_class, **identity)
        if (family, component.name) in components:
            raise BrokenOfferError(f"offers the {family} {component.name!r} twice", config_class)
        components[family, component.name] = component
    return list(components.values())


def _built_in(claimants: Iterable[Component]) -> Component | None:
    return next((claimant for claimant in claimants if claimant.distribution == OWN_DISTRIBUTION), None)


def _claim(loser: Component, claimants: Iterable[Component]) -> ContestedComponent:
    others = [claimant for claimant in claimants if claimant is not loser]
    return ContestedComponent(
        family=loser.family,
        name=loser.name,
        distribution=loser.distribution,
        version=loser.version,
        entry_point=loser.entry_point,
        others=tuple(other.origin for other in others),
        is_built_in=_built_in(others) is not None,
    )


def _remedy(error: BaseException, source: PluginSource) -> str:
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    # No command: whoever puts a package of that name on an index would have it installed.
    name = clean((missing or "").partition(".")[0], LONGEST_CAUSE)
    repair = f"install the package that {name} comes from" if missing else source.repair(_place(error, source))
    if isinstance(source, LocalFile):
        return repair
    return f"{repair}, or leave it out: {FLAG} {source.name}, or pip uninstall {source.distribution}"


def _place(error: BaseException, source: PluginSource) -> str:
    """The file and line of the user's own that is at fault; empty where none is known."""
    own = source.own_source
    if own is None:
        return ""
    definition = error.definition if isinstance(error, BrokenOfferError) else None
    return clean(place_in(own, error) or place_of(own, definition), LONGEST_CAUSE)
