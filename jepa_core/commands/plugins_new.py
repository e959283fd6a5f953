"""`jepa plugins new`: write a distribution with one component that works, to change into one's own."""

from __future__ import annotations

import shlex
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from jepa_core.errors import RecipeError

if TYPE_CHECKING:
    from jepa_core.scaffold.new_plugin import NewPlugin


Asked = Annotated[str, Parameter(show_default=False)]


def new(path: Path, /, *, family: Asked = "", name: Asked = "") -> None:
    """Write a distribution of your own with one component that already works, its tests, and a recipe to try it.

    For example: jepa plugins new jepa-my-loss --family loss --name my_loss

    Parameters
    ----------
    path
        The folder to make; one that is there must be empty.
    family
        dataset, augmentation, encoder, quantizer, aggregator, predictor, loss, null (what learns nothing), observer, or
        scenario (rules that watch a run). Asked for on a terminal.
    name
        The component's name, as a recipe's `kind` will have it. Asked for on a terminal.

    Raises
    ------
    RecipeError
        The family, the name or the folder cannot be used; nothing was written.
    """
    from jepa_core.hookspecs import FAMILIES
    from jepa_core.presentation.terminal import console_for
    from jepa_core.scaffold.folder import check_free, write_folder
    from jepa_core.scaffold.new_plugin import NewPlugin

    check_free(path)
    plugin = NewPlugin(
        family=family or _asked(f"Family ({', '.join(FAMILIES)})", "--family"),
        name=name or _asked("Name, as recipes will have it", "--name"),
    )
    _check_name_is_free(plugin)
    write_folder(path, plugin.contents())
    console_for().print(_next_steps(plugin, path), soft_wrap=True)


def _asked(question: str, flag: str) -> str:
    """The answer on a terminal.

    Raises:
        RecipeError: there is no terminal, or no answer.
    """
    if not sys.stdin.isatty():
        raise RecipeError(
            f"{flag} is missing, and there is no terminal to ask on. "
            "For example: jepa plugins new jepa-my-loss --family loss --name my_loss"
        )
    try:
        answer = input(f"{question}: ").strip()
    except EOFError:
        answer = ""
    if not answer:
        raise RecipeError(f"No answer, so nothing was written. It can be given with {flag} too.")
    return answer


def _check_name_is_free(plugin: NewPlugin) -> None:
    """Raises RecipeError when a component or a package of the name is installed: two of one name cannot be."""
    from jepa_core.registry import installed

    taken = installed().get(plugin.family, plugin.name)
    if taken is not None:
        raise RecipeError(f"{taken.origin} has the {plugin.family} {plugin.name!r} already. Choose another name.")
    if find_spec(plugin.package) is not None:
        raise RecipeError(f"A package {plugin.package} is installed already. Choose another name.")


def _next_steps(plugin: NewPlugin, path: Path) -> str:
    return (
        f"{plugin.distribution} is written: the {plugin.family} {plugin.name} in {path / plugin.component_path}\n\n"
        f"Next:\n"
        f"  cd {shlex.quote(str(path))}\n"
        f"  pip install -e .\n"
        f"  jepa plugins check {plugin.name}\n"
        f"  jepa run recipes/quickstart.toml --set {plugin.override}"
    )
