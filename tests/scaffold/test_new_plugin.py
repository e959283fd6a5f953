"""What is written for each family works as it stands: it is found, keeps its contract, and trains."""

from __future__ import annotations

import ast
import inspect
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jepa_core.cli import main
from jepa_core.conformance import check_component
from jepa_core.errors import RecipeError
from jepa_core.hookspecs import FAMILIES
from jepa_core.recipes.reading import load_recipe
from jepa_core.registry import Registry
from jepa_core.run_directory.reading import RunReader
from jepa_core.scaffold.new_plugin import NewPlugin
from tests.scaffold.generated import installed_plugin


@pytest.fixture(scope="module", params=FAMILIES)
def plugin(request: pytest.FixtureRequest) -> NewPlugin:
    return NewPlugin(family=request.param, name=f"my_{request.param}")


@pytest.fixture(scope="module")
def folder(plugin: NewPlugin, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("plugins") / plugin.distribution


@pytest.fixture(scope="module")
def registry(plugin: NewPlugin, folder: Path) -> Iterator[Registry]:
    with installed_plugin(plugin, folder) as registry:
        yield registry


def test_it_is_found_by_name(plugin: NewPlugin, registry: Registry) -> None:
    component = registry.get(plugin.family, plugin.name)
    assert registry.broken == ()
    assert component is not None
    assert component.origin == f"{plugin.distribution} 0.1.0"
    assert component.summary


def test_it_keeps_the_contract_of_its_family(plugin: NewPlugin, registry: Registry) -> None:
    component = registry.get(plugin.family, plugin.name)
    assert component is not None
    results = check_component(component)
    assert [result.text() for result in results if result.failed] == []
    assert any(result.outcome == "passed" for result in results)


@pytest.mark.usefixtures("registry")
def test_a_recipe_trains_with_it(plugin: NewPlugin, tiny_recipe_file: Path, tmp_path: Path) -> None:
    flags = ["--set", plugin.override, "--runs-dir", str(tmp_path / "runs"), "--device", "cpu"]
    flags += ["--set", "data.num_sequences=40"]
    with pytest.raises(SystemExit) as left:
        main(["run", str(tiny_recipe_file), *flags])
    assert left.value.code == 0
    (run,) = (tmp_path / "runs").iterdir()
    assert max(row["step"] for row in RunReader(run).rows()) >= 1
    assert plugin.name in (run / "recipe.toml").read_text()


def test_its_recipe_is_whole_and_takes_the_component(plugin: NewPlugin, folder: Path, registry: Registry) -> None:
    path = folder / "recipes" / "quickstart.toml"
    load_recipe(path, registry=registry)
    load_recipe(path, overrides=(plugin.override,), registry=registry)


def test_the_project_declares_its_package_and_depends_on_this_one(plugin: NewPlugin, folder: Path) -> None:
    project = tomllib.loads((folder / "pyproject.toml").read_text())
    assert project["project"]["dependencies"] == ["jepa-core"]
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == [plugin.package]
    assert (folder / plugin.package / "__init__.py").is_file()


@pytest.mark.usefixtures("registry")
def test_it_is_formatted_and_free_of_lint(folder: Path) -> None:
    for command in (["check", "--select", "B,E,F,I,RET,SIM,UP,W"], ["format", "--check"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--isolated", "--no-cache", "--line-length", "120"]
        done = subprocess.run(ruff, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stdout


@pytest.mark.slow
@pytest.mark.usefixtures("registry")
def test_its_own_tests_pass(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(list(FAMILIES)), st.from_regex(r"[a-z][a-z0-9_]{0,12}", fullmatch=True))
def test_any_name_is_refused_or_gives_python_and_toml_that_parse(family: str, name: str) -> None:
    try:
        contents = NewPlugin(family=family, name=name).contents()
    except RecipeError:
        return
    for path, text in contents.items():
        if path.endswith(".py"):
            ast.parse(text)
        elif path.endswith(".toml"):
            tomllib.loads(text)


@pytest.mark.parametrize("name", ["", "My", "my-loss", "_my", "my_", "a__b", "9a", "class", "my loss", "../x", "ä"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(RecipeError, match="cannot be a component's"):
        NewPlugin(family="loss", name=name)


def test_an_unknown_family_is_refused_with_those_there_are() -> None:
    with pytest.raises(
        RecipeError,
        match=f"Families: {', '.join(FAMILIES)}",
    ):
        NewPlugin(family="los", name="mine")


def test_the_quickstart_it_writes_is_the_shipped_one() -> None:
    template = (Path(inspect.getfile(NewPlugin)).parent / "quickstart.toml.txt").read_text(encoding="utf-8")
    shipped = Path(__file__).parents[2] / "recipes" / "quickstart.toml"
    assert tomllib.loads(template) == tomllib.loads(shipped.read_text(encoding="utf-8"))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", ["lab_{family}", "{family}", "lab", "tensor", "lab_config", "lab_{family}_2"])
def test_its_classes_say_the_family_once_and_hide_nothing_that_is_imported(family: str, name: str) -> None:
    plugin = NewPlugin(family=family, name=name.format(family=family))
    tree = ast.parse(plugin.contents()[plugin.component_path])
    classes = [node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    imported = {each.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for each in node.names}
    assert len(set(classes)) == len(classes)
    assert imported.isdisjoint(classes)
    assert not any(word * 2 in each for each in classes for word in (family.capitalize(), "Config"))
    assert classes[0].endswith("Config")
    (imports,) = [node for node in ast.walk(ast.parse(plugin.contents()[f"{plugin.package}/__init__.py"]))
                  if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(plugin.package)]  # fmt: skip
    assert [each.name for each in imports.names] == [classes[0]]
