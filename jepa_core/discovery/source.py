"""Where plugins come from: entry points of installed distributions, and local files given explicitly.

Finding them imports nothing. One distribution whose metadata is damaged hides no other.
"""

from __future__ import annotations

import hashlib
import importlib.abc
import importlib.util
import inspect
import json
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import Distribution, EntryPoint, PackageNotFoundError, distributions
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import attrs

from jepa_core.discovery.choice import canonical
from jepa_core.errors import PluginError
from jepa_core.plain_files import open_plain

ENTRY_POINT_GROUP = "jepa"

_NAME = re.compile(r"^Name:[ \t]*(.*?)[ \t]*$", re.IGNORECASE | re.MULTILINE)
_VERSION = re.compile(r"^Version:[ \t]*(.*?)[ \t]*$", re.IGNORECASE | re.MULTILINE)

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

    @property
    def own_source(self) -> Path | None:
        """The file or folder that the user writes it in; None where it was installed."""
        ...

    def repair(self, place: str) -> str:
        """Who can put it right, as the start of a remedy; `place`: the file and line at fault, where it is known."""
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
        return self._identity[0] or self.point.value

    @property
    def version(self) -> str:
        return self._identity[1]

    @property
    def _identity(self) -> tuple[str, str]:
        return name_and_version(self.point.dist) if self.point.dist is not None else ("", "")

    def load(self) -> Any:
        if EntryPoint.pattern.match(self.point.value) is None:
            raise PluginError(f"its entry point is {self.point.value!r}, which is no module and no module:object")
        return self.point.load()

    @property
    def own_source(self) -> Path | None:
        return own_source(self.point.dist)

    def repair(self, place: str) -> str:
        own = self.own_source
        return f"correct {place or own}" if own else f"update {self.distribution} or tell its author"


@attrs.frozen
class DamagedDistribution:
    """A distribution that offers plugins but whose entry points cannot be read."""

    distribution: str
    version: str
    cause: str
    name: str = "entry_points.txt"

    def load(self) -> Any:
        raise PluginError(self.cause)

    @property
    def own_source(self) -> None:
        return None

    def repair(self, place: str) -> str:  # noqa: ARG002  # the interface's
        return f"install {self.distribution} again or tell its author"


def _not_of_a_name(stem: str) -> str:
    """What keeps a file's name from being a module's: letters of any alphabet, digits and _ may be in it."""
    wrong = dict.fromkeys(sign for sign in stem if not f"_{sign}".isidentifier())
    if any("\ud800" <= sign <= "\udfff" for sign in wrong):
        return "it holds bytes that are no text in this terminal's encoding"
    return f"it holds {', '.join(map(repr, wrong))}" if wrong else f"it begins with {stem[0]!r}"


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
                f"--plugin {path}: {path.stem!r} can be no module's name in Python: {_not_of_a_name(path.stem)}. "
                "Rename the file, such as to my_loss.py."
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

    @property
    def own_source(self) -> Path:
        return self.path

    def repair(self, place: str) -> str:
        return f"correct {place or self.path}"


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
        name, version = name_and_version(distribution)
        if canonical(name) not in seen:
            found += _plugins_of(distribution, name, version)
            seen |= {canonical(name)} - {""}
    return found


def _plugins_of(distribution: Distribution, name: str, version: str) -> Iterator[PluginSource]:
    try:
        points = list(distribution.entry_points.select(group=ENTRY_POINT_GROUP))
    except Exception as error:  # entry points that break the format raise anything
        if f"[{ENTRY_POINT_GROUP}]" in (distribution.read_text("entry_points.txt") or ""):
            cause = f"its entry_points.txt cannot be read: {type(error).__name__}: {error}"
            yield DamagedDistribution(name, version, cause)
        return
    yield from map(InstalledPlugin, points)


def own_source(distribution: Distribution | None) -> Path | None:
    """The folder that `pip install -e` was given; None for what lies among other people's packages."""
    with suppress(Exception):  # metadata that is missing or broken raises differently from one Python to the next
        told = json.loads(distribution.read_text("direct_url.json") or "{}") if distribution else {}
        if told.get("dir_info", {}).get("editable") is True:
            return Path(unquote(urlsplit(told["url"]).path))
    return None


def own_source_of(origin: str) -> Path | None:
    """The same of a component's origin, which is the name of a distribution or a local file."""
    if Path(origin).suffix == ".py":
        return Path(origin)
    with suppress(PackageNotFoundError, ValueError):
        return own_source(Distribution.from_name(origin))
    return None


def place_in(source: Path, error: BaseException | None) -> str:
    """The innermost line of a file or a folder's files that an error, or what caused it, came from, as FILE:LINE; empty
    where it came from none of them."""
    while error is not None:
        lines = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
        if isinstance(error, SyntaxError) and error.filename:
            lines.append((error.filename, error.lineno))
        for file, line in reversed(lines):
            if Path(file).is_relative_to(source):
                return f"{file}:{line}"
        error = error.__cause__ or error.__context__
    return ""


def place_of(source: Path, definition: object) -> str:
    """The first line of a function or class of a file or a folder, as FILE:LINE; empty where it is elsewhere."""
    code: Any = inspect.unwrap(definition) if callable(definition) else definition
    with suppress(OSError, TypeError):  # no source is known
        file = inspect.getsourcefile(code)
        if file and Path(file).is_relative_to(source):
            return f"{file}:{max(1, inspect.getsourcelines(code)[1])}"
    return ""


def name_and_version(distribution: Distribution) -> tuple[str, str]:
    """Of a distribution; empty when its metadata is damaged.

    Of each that is installed it is asked, at the beginning of every run: `Distribution.metadata` would parse the whole
    README that follows the header, anew for each field.
    """
    try:
        text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
    except Exception:  # metadata that is broken raises differently from one Python to the next
        return "", ""
    header = text.partition("\n\n")[0]
    name, version = (field.search(header) for field in (_NAME, _VERSION))
    return name[1] if name else "", version[1] if version else ""
