"""What must not be loaded where: start-up and readers stay light, in a fresh interpreter each."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclopts import App

from jepa_core.cli import program

HEAVY = ("torch", "textual", "numpy")

_SHOW_HELP = """
import contextlib, io, sys
from jepa_core.cli import program
for arguments in {arguments!r}:
    with contextlib.redirect_stdout(io.StringIO()) as shown:
        program(arguments[0])(arguments)
    assert "Usage: jepa" in shown.getvalue(), shown.getvalue()
    loaded = [name for name in {heavy!r} if name in sys.modules]
    assert not loaded, (arguments, loaded)
"""

_IMPORT_ALL = """
import importlib, pkgutil, sys
for package in {packages!r}:
    root = importlib.import_module(package)
    for module in pkgutil.walk_packages(root.__path__, package + "."):
        importlib.import_module(module.name)
        assert "torch" not in sys.modules, module.name
"""

_IMPORT_CORE = """
import sys
before = set(sys.modules)
import jepa_core
foreign = {{name.partition(".")[0] for name in set(sys.modules) - before}} - sys.stdlib_module_names - {{"jepa_core"}}
assert not foreign, foreign
"""


_OUTLINE = """
import sys
from jepa_core.engine.data_shape import DataShape
from jepa_core.engine.run_state import parts_outline
from jepa_core.recipes.reading import load_recipe
from jepa_core.recipes.recipe_path import find_recipe
from jepa_core.registry import installed
from jepa_plugins.grids.space import GridSpace
from jepa_plugins.images.space import ImageSpace
for name, space in (("digits", ImageSpace(channels=1, height=12, width=12)), ("quickstart", GridSpace(side=30))):
    recipe = load_recipe(find_recipe(name), registry=installed()).recipe
    parts = parts_outline(recipe, DataShape(context_length=3, space=space))
    assert next(parts.online.parameters()).is_meta
    assert "torch._dynamo" not in sys.modules, name
"""


def run_python(source: str) -> None:
    """Run it in a fresh interpreter; its complaint is ours."""
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def commands_of_app() -> list[list[str]]:
    """Every command that there is, groups included, with `--help`."""
    return [[*path, "--help"] for path in _below(program())]


def _below(group: App) -> Iterator[list[str]]:
    for name in group:
        if not name.startswith("-"):
            yield [name]
            yield from ([name, *path] for path in _below(group[name]))


def test_help_loads_neither_torch_nor_textual() -> None:
    run_python(_SHOW_HELP.format(arguments=[["--help"]], heavy=HEAVY))


def test_the_help_of_every_command_loads_neither_torch_nor_textual() -> None:
    commands = commands_of_app()
    assert ["run", "--help"] in commands
    assert ["recipe", "show", "--help"] in commands
    run_python(_SHOW_HELP.format(arguments=commands, heavy=HEAVY))


def test_watch_run_directory_and_monitor_load_no_torch() -> None:
    run_python(_IMPORT_ALL.format(packages=["jepa_core.watch", "jepa_core.run_directory", "jepa_monitor"]))


@pytest.mark.parametrize("module", ["metrics", "settings", "errors", "facts", "hookspecs"])
def test_contracts_that_readers_share_load_no_torch(module: str) -> None:
    run_python(f"import sys, jepa_core.{module}\nassert 'torch' not in sys.modules")


def test_the_package_itself_loads_the_standard_library_at_most() -> None:
    run_python(_IMPORT_CORE.format())


def test_training_with_its_probes_loads_no_compiler(tmp_path: Path) -> None:
    """It takes seconds to load, and nothing asks for it where train.compile is not on."""
    program = """
import sys
import torch
from jepa_core.engine.linear_probe import fit_logistic
from jepa_core.engine.optimizer import GatedAdam
from jepa_core.recipes.tables import Optimizer
weight = torch.nn.Parameter(torch.ones(2, 2))
weight.grad = torch.ones(2, 2)
GatedAdam(Optimizer(), {"weight": weight}).step(0.1, torch.tensor(True))
fit_logistic(torch.randn(8, 3).double(), torch.arange(8) % 3, 3, torch.ones(1, 8, dtype=torch.bool))
assert "torch._dynamo" not in sys.modules
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert found.returncode == 0, found.stderr


def test_a_stored_model_is_outlined_without_torchs_compiler() -> None:
    """Arithmetic on a meta tensor that is not in place would load it, which takes seconds of every `jepa eval`."""
    run_python(_OUTLINE)
