"""Local plugin files that a run was made with: a run goes on, and is evaluated, with the code that it began with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from jepa_core.discovery.source import LocalFile
from jepa_core.errors import PluginError
from jepa_core.run_directory.reading import RunReader

KEY = "plugin_files"
"""Of environment.json."""


def recorded_files(files: Iterable[LocalFile]) -> list[dict[str, str]]:
    """What environment.json says of them."""
    return [{"path": str(file.path.resolve()), "sha256": file.sha256} for file in files]


def check_same_files(run: Path, files: Sequence[LocalFile]) -> None:
    """
    Raises:
        PluginError: the run was made with a file that is not given now, or that has changed since.
    """
    given = {file.sha256 for file in files}
    recorded = RunReader(run).environment().get(KEY, [])
    for entry in recorded if isinstance(recorded, list) else []:
        if not isinstance(entry, dict) or entry.get("sha256") in given:
            continue
        path = str(entry.get("path", ""))
        if Path(path).name in {file.path.name for file in files}:
            raise PluginError(
                f"{run} was made with another version of {path}: its SHA-256 was {entry.get('sha256')}.\n"
                "Put the file back as it was, or start a new run."
            )
        raise PluginError(f"{run} was made with a local plugin, which has to be given again: --plugin {path}")
