"""Where plugins come from: entry points of installed distributions, and local files given explicitly.

Finding them imports nothing. One distribution whose metadata is damaged hides no other.
"""

from __future__ import annotations

import hashlib
import importlib.abc
import importlib.util
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, EntryPoint, distributions
from pathlib import Path
from typing import Any, Protocol

import attrs

from jepa_core.discovery.choice import canonical
from jepa_core.errors import PluginError
from jepa_core.plain_files import open_plain

ENTRY_POINT_GROUP = "jepa"

LOCAL = "jepa_plugin_file_"
"""What the names of modules begin with that are local files."""


class PluginSource(Protocol):
    """One plugin that can be loaded."""

    @property
    def name(self) -> str:
        """The entry point's name."""
        ...

    @property
    def distribution(self) -> str: ...

    @property
    def version(self) -> str: ...

    def load(self) -> Any:
        """Import it; whatever its code raises comes out."""
        ...

    def repair(self) -> str:
        """Who can put it right, as the start of a remedy."""
        ...


@attrs.frozen
class InstalledPlugin:
    """An entry point of an installed distribution."""

    point: EntryPoint

    @property
    def name(self) -> str:
        return self.point.name

    @property
    def distribution(self) -> str:
        return _field(self.point.dist, "name") or self.point.value

    @property
    def version(self) -> str:
        return _field(self.point.dist, "version")

    def load(self) -> Any:
        if EntryPoint.pattern.match(self.point.value) is None:
            raise PluginError(f"its entry point is {self.point.value!r}, which is no module and no module:object")
        return self.point.load()

    def repair(self) -> str:
        return f"update {self.distribution} or tell its author"


@attrs.frozen
class DamagedDistribution:
    """A distribution that offers plugins but whose entry points cannot be read."""

    distribution: str
    version: str
    cause: str
    name: str = "entry_points.txt"

    def load(self) -> Any:
        raise PluginError(self.cause)

    def repair(self) -> str:
        return f"install {self.distribution} again or tell its author"


@attrs.frozen
class LocalFile:
    """A file given by `--plugin`; it is hashed and run as read once, so that the sum is that of what ran."""

    path: Path
    content: bytes = attrs.field(repr=False)

    @staticmethod
    def read(path: Path) -> LocalFile:
        """
        Raises:
            PluginError: it is no Python file that can be read.
        """
        if path.suffix != ".py":
            raise PluginError(f"--plugin {path}: expected a Python file, such as my_loss.py")
        if not path.stem.isidentifier():
            raise PluginError(
                f"--plugin {path}: {path.stem!r} can be no module's name, which has letters, digits and _ alone and "
                "begins with no digit. Rename the file, such as to my_loss.py."
            )
        try:
            with open_plain(path, follow_links=True) as file:
                return LocalFile(path, file.read())
        except OSError as error:
            place = "" if path.is_absolute() else f" ({path.absolute()})"
            raise PluginError(
                f"--plugin {path}: cannot be read{place}: {error.strerror}. Give the path of a file."
            ) from None

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def distribution(self) -> str:
        return str(self.path)

    @property
    def version(self) -> str:
        return ""

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    def load(self) -> Any:
        # The sum is part of the name: another version of the file is another module.
        name = f"{LOCAL}{self.name}_{self.sha256[:12]}"
        spec = importlib.util.spec_from_loader(name, _FileContent(self.path, self.content))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        # Where annotations and dataclasses look names up.
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
        return module

    def repair(self) -> str:
        return f"correct {self.path}"


class _FileContent(importlib.abc.SourceLoader):
    """Runs source that was read already; writes no bytecode beside it."""

    def __init__(self, path: Path, content: bytes) -> None:
        self._path = path
        self._content = content

    def get_filename(self, fullname: str) -> str:  # noqa: ARG002  # the interface's
        return str(self._path)

    def get_data(self, path: Any) -> bytes:  # noqa: ARG002  # likewise
        return self._content


def installed_plugins() -> list[PluginSource]:
    """Every plugin that is installed. Of a distribution that lies on the path twice only the first counts, as for
    Python itself."""
    found: list[PluginSource] = []
    seen: set[str] = set()
    for distribution in distributions():
        name = _field(distribution, "name")
        if canonical(name) not in seen:
            found += _plugins_of(distribution, name)
            seen |= {canonical(name)} - {""}
    return found


def _plugins_of(distribution: Distribution, name: str) -> Iterator[PluginSource]:
    try:
        points = list(distribution.entry_points.select(group=ENTRY_POINT_GROUP))
    except Exception as error:  # entry points that break the format raise anything
        if f"[{ENTRY_POINT_GROUP}]" in (distribution.read_text("entry_points.txt") or ""):
            cause = f"its entry_points.txt cannot be read: {type(error).__name__}: {error}"
            yield DamagedDistribution(name, _field(distribution, "version"), cause)
        return
    yield from map(InstalledPlugin, points)


def _field(distribution: Distribution | None, field: str) -> str:
    """Name or version of a distribution; empty when its metadata is damaged."""
    try:
        value = getattr(distribution, field, None)
    except Exception:  # metadata that is missing or broken raises differently from one Python to the next
        return ""
    return value if isinstance(value, str) else ""
