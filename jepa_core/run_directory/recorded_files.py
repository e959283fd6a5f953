"""Local plugin files that a run was made with: a run goes on, and is evaluated, with the code that it began with."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from jepa_core.discovery.source import LocalFile
from jepa_core.errors import PluginError
from jepa_core.run_directory.naming import beside
from jepa_core.run_directory.reading import RunReader

KEY = "plugin_files"
"""Of environment.json."""


def recorded_files(files: Iterable[LocalFile]) -> list[dict[str, str]]:
    """What environment.json says of them."""
    return [{"path": str(file.path.resolve()), "sha256": file.sha256} for file in files]


def plugin_flags(*runs: Path) -> str:
    """What has to be typed behind a command that uses the components of runs, such as " --plugin my_loss.py"; empty
    where they were made without local plugins. A file below the working folder is named from there if the run is, too.
    One that lies in a run directory is not named: it may be a stranger's, and would be run.
    """
    recorded = [(run, RunReader(run).environment().get(KEY, [])) for run in runs]
    entries = [(run, entry) for run, found in recorded if isinstance(found, list) for entry in found]
    paths = [(run, entry.get("path")) for run, entry in entries if isinstance(entry, dict)]
    return "".join(dict.fromkeys(_flag(path, run) for run, path in paths if isinstance(path, str) and path))


def with_plugin_flags(command: str, run: Path) -> str:
    """A command on a run, with a comment behind it or not, as it has to be typed with the run's local plugins."""
    typed, comment, why = command.partition("  # ")
    uses_them = typed.split()[1:2] in (["eval"], ["rollback"], ["run"], ["recipe"])
    return f"{typed}{plugin_flags(run)}{comment}{why}" if uses_them else command


def _flag(path: str, run: Path) -> str:
    file, here = Path(path), Path.cwd()
    if not file.is_absolute() or file.resolve().is_relative_to(beside(run).resolve()):
        return " --plugin FILE"
    typed = file.relative_to(here) if not run.is_absolute() and file.is_relative_to(here) else file
    return f" --plugin {shlex.quote(str(typed))}"


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
        raise PluginError(f"{run} was made with a local plugin, which has to be given again:{_flag(path, run)}")
