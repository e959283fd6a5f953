"""Who is to blame for an exception while a run trains, in a message of a few lines instead of a traceback.

Nothing is wrapped around calls of components, which are compiled and captured. The exception's own traceback tells: of
its innermost frames the first that is a component's. Where none is, the forward pass is repeated with a look at what
every component returns. The traceback itself goes to the run's console.log and into the event.
"""

from __future__ import annotations

import inspect
import os
import tempfile
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import attrs
from torch import nn

from jepa_core.contracts import ComponentConfig
from jepa_core.discovery.offer import in_words
from jepa_core.discovery.remarks import OWN_DISTRIBUTION
from jepa_core.discovery.source import own_source_of, place_in, place_of
from jepa_core.engine.component_contract import (
    CONTRACT,
    ROLES,
    BrokenContractError,
    components_of,
    require_contract,
)
from jepa_core.engine.interruption import StoppedBeforeTraining
from jepa_core.engine.memory_faults import is_out_of_memory, out_of_memory
from jepa_core.engine.network import OnlineNetwork, TargetNetwork
from jepa_core.engine.objective import Objective
from jepa_core.engine.step import TrainingStep
from jepa_core.engine.trainer import Trainer
from jepa_core.errors import JepaError, PluginError
from jepa_core.recipes.tables import Recipe
from jepa_core.registry import Component, Registry
from jepa_core.run_directory.console_log import open_console
from jepa_core.run_directory.layout import CONSOLE
from jepa_core.run_directory.naming import typed_name
from jepa_core.visible_text import clean, visible_lines

Frames = list[tuple[FrameType, int]]
"""Of a traceback, the innermost last, with the line that was reached."""

_NOT_OF_COMPONENTS = frozenset({"", "jepa_core"})
"""Packages whose code may run within any component's."""


class ComponentError(PluginError):
    """A component of the recipe has failed while it was used."""

    def __init__(self, message: str, evidence: Mapping[str, Any], *, is_of_one_rank: bool) -> None:
        super().__init__(message)
        self.evidence = evidence
        """For the event: the component, and the place in its source."""
        self.is_of_one_rank = is_of_one_rank
        """Whether other ranks may know nothing of it."""


@attrs.frozen(kw_only=True)
class Part:
    """A component of a recipe, and where it comes from."""

    family: str
    label: str
    """Its table in the recipe."""
    config: ComponentConfig
    component: Component | None
    """As it is installed."""

    @property
    def origin(self) -> str:
        """Distribution and version, or a file; the module where it is none of the installed ones."""
        return clean(self.component.origin if self.component else type(self.config).__module__, 200)

    def describe(self) -> str:
        """Such as "loss 'my_loss' of jepa-my-loss 0.1"."""
        name = self.config.kind
        table = "" if self.label in {self.family, f"{self.label.partition('.')[0]}.{name}"} else f" ({self.label})"
        return f"{self.family} {clean(name, 100)!r}{clean(table, 100)} of {self.origin}"

    def remedy(self, error: BaseException) -> str:
        """What the user can do about an error; of a component that is the user's own, in which line."""
        distribution = clean(self.component.distribution, 200) if self.component else ""
        if not distribution or distribution == OWN_DISTRIBUTION:
            return f"name another {self.family} in the recipe ([{clean(self.label, 100)}]), or report it."
        own = own_source_of(self.component.distribution) if self.component else None
        if own is not None:
            broken = place_of(own, error.definition) if isinstance(error, BrokenContractError) else ""
            place = clean(place_in(own, error) or broken or place_of(own, type(self.config)) or str(own), 300)
            return f"correct {place}; jepa plugins check {distribution} tries it alone."
        return (
            f"jepa plugins check {distribution} tries it alone. Update {distribution} or tell its author, or name "
            f"another {self.family} in the recipe."
        )


@attrs.frozen
class _Blame:
    part: Part
    place: str
    """Such as "my_loss.py:41"."""


@contextmanager
def component_faults_told(
    recipe: Recipe, registry: Registry, run: Path | None = None, rank: int | None = None
) -> Iterator[None]:
    """While entered, what a component raises or wrongly returns is told in a few lines.

    Args:
        recipe: of the run.
        registry: where its components come from.
        run: the directory of a run that is trained, whose console.log gets the traceback; None: a temporary file does.
        rank: which one of several this process is.

    Raises:
        ComponentError: a component failed.
        OutOfMemory: there was not enough memory.
    """
    try:
        yield
    except (StoppedBeforeTraining, GeneratorExit):
        raise
    except BaseException as error:
        telling = _Telling(recipe, _parts(recipe, registry), run, rank, "".join(traceback.format_exception(error)))
        told = telling.of(error)
        if told is None:
            raise
        raise told from error


@attrs.frozen
class _Telling:
    recipe: Recipe
    parts: Mapping[str, Part]
    run: Path | None
    rank: int | None
    traceback: str

    def keep(self) -> str:
        """Keep the traceback; where, or why it cannot be kept."""
        text, refused = "\n" + visible_lines(self.traceback), list[str]()
        try:
            if self.run is not None:
                with open_console(self.run, lambda message, _advice: refused.append(message)) as log:
                    log.write(text)
                return f"it cannot be kept: {refused[0]}" if refused else str(self.run / CONSOLE)
            descriptor, name = tempfile.mkstemp(prefix="jepa-traceback-", suffix=".txt")
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
        except (OSError, JepaError) as error:
            return f"it cannot be kept: {error}"
        return name

    def of(self, error: BaseException) -> JepaError | None:
        """What to say instead; None where it says enough, or no component is to blame."""
        if isinstance(error, BrokenContractError):
            return self._broken(error)
        if isinstance(error, JepaError):
            return None
        frames = _frames(error)
        training, step = _training(frames)
        blame = _blamed(frames, self.parts)
        if is_out_of_memory(error) and (training or blame):
            by = f"{blame.part.describe()} ({blame.place})" if blame else ""
            if self.run is not None:
                self.keep()
            return out_of_memory(error, self.recipe, training, self.run, by=by)
        if isinstance(error, KeyboardInterrupt):
            # Ctrl-C is raised by a handler of ours, wherever it strikes.
            blame = _blamed(frames[-1:], self.parts, frames)
        # Where ranks share out parameters, none can take a forward pass by itself.
        elif isinstance(error, Exception) and training is not None and training.shards is None:
            try:
                require_contract(training, step)
            except BrokenContractError as broken:
                return self._broken(broken)
            except Exception as again:
                # Of a compiled step the first has no frames of components.
                if blame is None:
                    blame, error = _blamed(_frames(again), self.parts), again
        if blame is None:
            return None
        return self._error(blame.part, f"raised {clean(in_words(error))} ({blame.place})", error, blame.place)

    def _broken(self, error: BrokenContractError) -> ComponentError | None:
        part = self.parts.get(error.label)
        if part is None:
            return None
        place = _first_line(error.definition) or _first_line(type(part.config).build)
        what = f"{clean(error.what, 800).rstrip('.')}{place and f' ({place})'}"
        return self._error(part, what, error, place, is_of_all=True)

    def _error(
        self, part: Part, what: str, error: BaseException, place: str, *, is_of_all: bool = False
    ) -> ComponentError:
        remedy = part.remedy(error)
        where = "" if self.rank is None else f"Rank {self.rank}: "
        message = (
            f"{where}{part.describe()} {clean(what, 1000).rstrip('.')}.\n"
            f"Contract: {CONTRACT[part.family]}\n"
            f"Remedy: {remedy}\n"
            f"Its traceback: {clean(self.keep(), 300)}"
        )
        if self.run is not None:
            message += f". What else is known: jepa autopsy {clean(typed_name(self.run), 300)}"
        component = part.component
        evidence = {
            "family": part.family,
            "name": part.config.kind,
            "table": part.label,
            "distribution": component.distribution if component else "",
            "version": component.version if component else "",
            "place": place,
            "remedy": remedy,
        }
        return ComponentError(message, {"component": evidence}, is_of_one_rank=self.rank is not None and not is_of_all)


def _parts(recipe: Recipe, registry: Registry) -> dict[str, Part]:
    """The components that take part in a step, by their tables."""
    configs: dict[str, tuple[str, ComponentConfig]] = {role: (role, getattr(recipe, role)) for role in ROLES}
    configs |= {f"losses.{name}": ("loss", entry.config) for name, entry in recipe.losses.items()}
    configs |= {
        f"augmentation.{name}": ("augmentation", entry.config) for name, entry in recipe.used_augmentations.items()
    }
    return {
        label: Part(family=family, label=label, config=config, component=_installed(registry, family, config))
        for label, (family, config) in configs.items()
    }


def _first_line(definition: object) -> str:
    """Of a function, such as "my_loss.py:41"; empty where there is none in Python, or where it is torch's, which a
    component may be made of."""
    function = inspect.unwrap(definition) if callable(definition) else None
    code = getattr(function, "__code__", None)
    if code is None or str(getattr(function, "__module__", "")).partition(".")[0] == "torch":
        return ""
    return f"{clean(Path(code.co_filename).name, 100)}:{code.co_firstlineno}"


def _installed(registry: Registry, family: str, config: ComponentConfig) -> Component | None:
    component = registry.get(family, config.kind)
    return component if component is not None and component.config_class is type(config) else None


def _frames(error: BaseException) -> Frames:
    return list(traceback.walk_tb(error.__traceback__))


def _training(frames: Frames) -> tuple[TrainingStep | None, int]:
    """The step that was under way, or was to be taken next, and its number."""
    for frame, _ in reversed(frames):
        owner, step = frame.f_locals.get("self"), frame.f_locals.get("step")
        if isinstance(owner, TrainingStep) and isinstance(step, int):
            return owner, step
        if isinstance(owner, Trainer) and hasattr(owner, "steps_done"):
            return owner.step, owner.steps_done
    return None, 0


def _blamed(frames: Frames, parts: Mapping[str, Part], networks: Frames | None = None) -> _Blame | None:
    """The component whose code the innermost frame is of that is any component's.

    `networks`: frames to find networks in, if others.
    """
    tables = _tables_of_modules(networks or frames)
    for frame, line in reversed(frames):
        table = tables.get(id(frame.f_locals.get("self"))) or _table_of_code(frame, parts)
        if table in parts:
            return _Blame(parts[table], f"{clean(Path(frame.f_code.co_filename).name, 100)}:{line}")
    return None


def _tables_of_modules(frames: Frames) -> dict[int, str]:
    """By identity, the modules of all networks that the frames belong to, and of whatever these hold."""
    tables: dict[int, str] = {}
    for frame, _ in frames:
        owner = frame.f_locals.get("self")
        named: dict[str, nn.Module] = {}
        if isinstance(owner, TrainingStep):
            owner = owner.objective
        if isinstance(owner, Objective) and hasattr(owner, "losses"):
            named = {label: module for label, (_, module) in components_of(owner).items()}
            tables |= {id(module): "encoder" for module in owner.target.encoder.modules()}
        elif isinstance(owner, OnlineNetwork):  # which may be in the making
            named = {role: getattr(owner, role) for role in ROLES if hasattr(owner, role)}
        elif isinstance(owner, TargetNetwork):
            named = {"encoder": owner.encoder}
        for label, module in named.items():
            tables |= {id(inner): label for inner in module.modules()}
    return tables


def _table_of_code(frame: FrameType, parts: Mapping[str, Part]) -> str:
    """By its source: code of a component's own module, else of a package that one of the parts alone comes from."""
    module = str(frame.f_globals.get("__name__", ""))
    here = [part for part in parts.values() if type(part.config).__module__ == module]
    if len(here) > 1:
        # Functions that a configuration's `build` has made.
        own = frame.f_code.co_qualname.partition(".")[0]
        here = [part for part in here if type(part.config).__name__ == own]
    package = module.partition(".")[0]
    if not here and package not in _NOT_OF_COMPONENTS:
        here = [part for part in parts.values() if type(part.config).__module__.partition(".")[0] == package]
    return here[0].label if len(here) == 1 else ""
