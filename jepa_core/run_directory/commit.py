"""The commit that a folder's checkout is at, read from the files of git.

git itself is not asked: it runs what a checkout's own configuration names, such as `core.fsmonitor`, and a checkout may
be a stranger's. So it is not known whether files differ from the commit, which only git's own comparison tells.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from jepa_core.plain_files import read_plain

_MOST = 4096
"""Bytes of a file that holds one line."""
_MOST_PACKED = 32 << 20
"""Bytes of packed references."""
_MOST_HOPS = 5
"""References that lead to one another."""

_HASH = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
# Each part begins with no dot: none leads out of the folder, and where references are kept otherwise (reftable) HEAD
# names one that is none, `refs/heads/.invalid`.
_REFERENCE = re.compile(r"refs(?:/[^/\s\x00-\x1f\x7f.][^/\s\x00-\x1f\x7f]*){1,20}")


def commit_of(folder: Path) -> str:
    """The hash of the commit that is checked out in `folder` or in one above it; empty where that cannot be told."""
    for place in (folder, *folder.parents):
        marker = place / ".git"
        if os.path.lexists(marker):
            repository = _repository(marker)
            return _head(repository) if repository else ""
    return ""


def _repository(marker: Path) -> Path | None:
    """The folder with HEAD: `.git` itself, or what it names where it is a file, as in a worktree or a submodule."""
    if marker.is_dir():
        return marker
    kind, _, path = _line(marker).partition(":")
    return marker.parent / path.strip() if kind == "gitdir" and path.strip() else None


def _head(repository: Path) -> str:
    shared = _line(repository / "commondir")
    folders = (repository, *((repository / shared,) if shared else ()))
    content = _line(repository / "HEAD")
    for _ in range(_MOST_HOPS):
        if _HASH.fullmatch(content):
            return content
        kind, _, name = content.partition(":")
        name = name.strip()
        if kind != "ref" or _REFERENCE.fullmatch(name) is None:
            return ""
        content = next(filter(None, (_line(place / name) for place in folders)), "") or _packed(folders[-1], name)
    return ""


def _line(path: Path) -> str:
    """A file of one line; empty where there is none, or anything else."""
    try:
        return read_plain(path, _MOST, follow_links=True).decode().strip()
    except (OSError, ValueError):
        return ""


def _packed(folder: Path, name: str) -> str:
    try:
        packed = read_plain(folder / "packed-refs", _MOST_PACKED, follow_links=True)
    except (OSError, ValueError):
        return ""
    found = re.search(rb"^([0-9a-f]{40,64}) %b$" % re.escape(name.encode()), packed, re.MULTILINE)
    return found[1].decode() if found else ""
