"""What holds for all source of the three packages: small modules with docstrings, nothing that runs code from data."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path
    for package in ("jepa_core", "plugins", "monitor")
    for path in (ROOT / package).rglob("*.py")
    if "tests" not in path.relative_to(ROOT).parts
)
MODULES = [path for path in SOURCES if path.name != "__init__.py"]
MAX_LINES = 400
VAGUE_NAMES = {"utils", "util", "common", "helpers", "helper", "base", "manager", "misc"}
UNSAFE_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"}
UNSAFE_CALLS = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "torch.load",
    "torch.save",
    "np.load",
    "numpy.load",
    "os.system",
}

every_source = pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
every_module = pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


@every_module
def test_a_module_is_small_and_says_what_it_holds(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MAX_LINES
    assert ast.get_docstring(ast.parse(text))


@every_source
def test_names_of_modules_and_folders_say_what_they_hold(path: Path) -> None:
    parts = {part.removesuffix(".py") for part in path.relative_to(ROOT).parts}
    assert parts.isdisjoint(VAGUE_NAMES)


@every_module
def test_public_functions_and_classes_have_docstrings(path: Path) -> None:
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    public = [node for node in parsed(path).body if isinstance(node, definitions) and not node.name.startswith("_")]
    undocumented = [node.name for node in public if ast.get_docstring(node) is None and not _is_hook(node)]
    assert undocumented == []


def _is_hook(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    """An implementation of a hook; the specification has the docstring."""
    return any(isinstance(decorator, ast.Name) and decorator.id == "hookimpl" for decorator in node.decorator_list)


def _without_pickle(call: ast.Call) -> bool:
    """`np.load` that says it."""
    return any(word.arg == "allow_pickle" and ast.unparse(word.value) == "False" for word in call.keywords)


@every_source
def test_nothing_runs_code_that_comes_from_data(path: Path) -> None:
    unsafe = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            unsafe |= {alias.name.partition(".")[0] for alias in node.names} & UNSAFE_MODULES
        elif isinstance(node, ast.ImportFrom):
            unsafe |= {(node.module or "").partition(".")[0]} & UNSAFE_MODULES
        elif isinstance(node, ast.Call) and not _without_pickle(node):
            unsafe |= {ast.unparse(node.func)} & UNSAFE_CALLS
    assert unsafe == set()
