"""Local plugin files that a run was made with, and plugins that were kept out: a run goes on, and is evaluated, with
the code that it began with."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from jepa_core.discovery.choice import FLAG
from jepa_core.discovery.source import LocalFile, installed_plugins
from jepa_core.errors import PluginError, RunDirectoryError
from jepa_core.run_directory.naming import beside
from jepa_core.run_directory.reading import RunReader
from jepa_core.shell_words import typed_flag, with_comment, without_comment

KEY = "plugin_files"
KEPT_OUT = "kept_out"
"""Of environment.json."""

_USING = ("audit", "eval", "recipe", "rollback", "run")
"""Commands that use the components of a run."""


def recorded_plugins(files: Iterable[LocalFile], kept_out: Iterable[str]) -> dict[str, Any]:
    """What environment.json says of local files, and of plugins that were not imported."""
    return {
        KEY: [{"path": str(file.path.resolve()), "sha256": file.sha256} for file in files],
        KEPT_OUT: list(kept_out),
    }


def typed_flags(files: Iterable[Path], kept_out: Iterable[str]) -> list[str]:
    """Flags for plugins as they have to be given again."""
    return [
        *(typed_flag("--plugin", str(file)) for file in files),
        *(f"{FLAG} {shlex.quote(name)}" for name in kept_out),
    ]


def plugin_flags(*runs: Path) -> str:
    """What has to be typed behind a command that uses the components of runs, such as
    " --plugin my_loss.py --no-plugin slow"; empty where they were made with all that is installed and no more. A file
    below the working folder is named from there if the run is, too. One that lies in a run directory is not named: it
    may be a stranger's, and would be run. A plugin to keep out is named as long as it is installed.
    """
    recorded = [(run, _environment(run)) for run in runs]
    entries = [(run, entry) for run, environment in recorded for entry in _listed(environment, KEY)]
    paths = [(run, entry.get("path")) for run, entry in entries if isinstance(entry, dict)]
    flags = [_flag(path, run) for run, path in paths if isinstance(path, str) and path]
    flags += [f" {typed_flag(FLAG, name)}" for name in _kept_out(environment for _, environment in recorded)]
    return "".join(dict.fromkeys(flags))


def kept_out_flags(run: Path) -> list[str]:
    """Those of them, as arguments, that run no code."""
    return [f"{FLAG}={name}" for name in _kept_out([_environment(run)])]


def with_plugin_flags(command: str, run: Path) -> str:
    """A command on a run, with a comment behind it or not, as it has to be typed with the run's plugins."""
    typed, why = without_comment(command)
    if typed.split()[1:2] not in [[name] for name in _USING]:
        return command
    words = shlex.split(typed)
    if FLAG in words:
        # A verdict's command has those already that run no code.
        typed = shlex.join([word for before, word in pairwise(["", *words]) if FLAG not in (before, word)])
    return with_comment(f"{typed}{plugin_flags(run)}", why)


def _environment(run: Path) -> Mapping[str, Any]:
    try:
        return RunReader(run).environment()
    except RunDirectoryError:
        return {}  # it is gone by now


def _kept_out(environments: Iterable[Mapping[str, Any]]) -> list[str]:
    names = {name for each in environments for name in _listed(each, KEPT_OUT) if isinstance(name, str)}
    # Looking what is installed takes longer than all else, and one that is not would be refused.
    return sorted(names & {plugin.name for plugin in installed_plugins()}) if names else []


def _listed(environment: Mapping[str, Any], key: str) -> list[Any]:
    found = environment.get(key)
    return found if isinstance(found, list) else []


def _flag(path: str, run: Path) -> str:
    file, here = Path(path), Path.cwd()
    if not file.is_absolute() or file.resolve().is_relative_to(beside(run).resolve()):
        return " --plugin FILE"
    typed = file.relative_to(here) if not run.is_absolute() and file.is_relative_to(here) else file
    return f" {typed_flag('--plugin', str(typed))}"


def check_same_files(run: Path, files: Sequence[LocalFile]) -> None:
    """
    Raises:
        PluginError: the run was made with a file that is not given now, or that has changed since.
    """
    given = {file.sha256 for file in files}
    for entry in _listed(RunReader(run).environment(), KEY):
        if not isinstance(entry, dict) or entry.get("sha256") in given:
            continue
        path = str(entry.get("path", ""))
        if Path(path).name in {file.path.name for file in files}:
            raise PluginError(
                f"{run} was made with another version of {path}: its SHA-256 was {entry.get('sha256')}.\n"
                "Put the file back as it was, or start a new run."
            )
        raise PluginError(f"{run} was made with a local plugin, which has to be given again:{_flag(path, run)}")
