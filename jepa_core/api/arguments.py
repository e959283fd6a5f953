"""Arguments that several calls take, as the engine takes them. A text where a list is wanted is a list of one."""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from jepa_core.errors import PluginError, RecipeError
from jepa_core.home import at_home

if TYPE_CHECKING:
    import torch

    from jepa_core.registry import Registry

PluginFiles = str | Path | Iterable[str | Path]
Step = int | str | None


def registry_with(plugins: PluginFiles | None) -> Registry:
    """The components there are with those of local files.

    Raises:
        PluginError: they are no files, or one does not work.
    """
    from jepa_core.registry import chosen_plugins

    files = [plugins] if isinstance(plugins, str | Path) else plugins or ()
    if not isinstance(files, Iterable):
        raise PluginError(f"plugins = {plugins!r}: give a list of files, such as ['my_loss.py'].")
    paths = []
    for file in files:
        if not isinstance(file, str | Path):
            raise PluginError(f"plugins: {file!r} is no file. Give the path of one, such as 'my_loss.py'.")
        paths.append(Path(at_home(str(file))))
    return chosen_plugins(paths, ())


def names_of(arrays: str | Iterable[str] | None) -> tuple[str, ...]:
    """Names of arrays, read once; none for all.

    Raises:
        RecipeError: they are no names.
    """
    names = (arrays,) if isinstance(arrays, str) else arrays or ()
    if not isinstance(names, Iterable):
        raise RecipeError(f"arrays = {arrays!r}: give a list of names, such as ['state', 'prediction'].")
    return tuple(names)


def step_text(step: Step) -> str:
    """As a checkpoint is asked for; empty for the usual one."""
    return "" if step is None else str(step)


def device_text(device: str | torch.device | None) -> str:
    """As a device is asked for; none is the usual one."""
    return "auto" if device is None else str(device)


def folder_of(runs_dir: str | Path | None) -> Path:
    """The folder with the run directories; none is the usual one, as on the command line.

    Raises:
        RecipeError: it is no folder's name.
    """
    from jepa_core.run_directory.naming import RUNS_DIR

    if runs_dir is None:
        return RUNS_DIR
    if not isinstance(runs_dir, str | PathLike):
        raise RecipeError(f"runs_dir = {runs_dir!r} is no folder. Give the path of one, such as 'runs'.")
    return Path(at_home(str(runs_dir)))
