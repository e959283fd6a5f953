"""`docs/plugins.md` cannot rot: every hook stands there as it is defined, every field is named, every example runs."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import runpy
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import torch

from jepa_core import contracts, facts, hookspecs, spaces
from jepa_core.cli import main, program
from jepa_core.conformance import check_component, pytest_plugin
from jepa_core.dataset_checks import check_dataset
from jepa_core.discovery.choice import ENVIRONMENT_VARIABLE
from jepa_core.registry import ENTRY_POINT_GROUP, Component, PluginChoice, Registry, installed
from jepa_core.run_directory.reading import RunReader
from jepa_core.scaffold.new_plugin import NewPlugin
from jepa_core.settings import setting
from jepa_plugins.grids.space import GridSpace

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
SECTIONS = {part.partition("\n")[0]: part for part in TEXT.split("\n## ")[1:]}
HOOKS = {name: spec for name, spec in vars(hookspecs).items() if hasattr(spec, f"{hookspecs.PROJECT}_spec")}
SECTION_OF = {family: "Losses" if family == "loss" else f"{family.capitalize()}s" for family in hookspecs.FAMILIES}
RESULTS = [
    contracts.Observations,
    contracts.Sequences,
    contracts.SequenceDataset,
    contracts.Embeddings,
    contracts.Statistics,
    contracts.Quantized,
    contracts.View,
    contracts.Forward,
    contracts.LossTerm,
    contracts.BenchmarkCase,
]
OPTIONAL = [
    contracts.DeclaresViews.views,
    contracts.OffersViews.read,
    contracts.OffersViews.embed,
    contracts.OffersViews.reading_views,
    contracts.AsksForEncoderViews.encoder_views,
    contracts.QuantizesTargets.of_target,
    contracts.JudgesWholeSet.over_candidates,
    contracts.NeedsInitialisation.initialise,
    contracts.HasState.after_step,
    contracts.ShowsWeights.time_weights,
]


def fenced(text: str, language: str) -> list[str]:
    """The fenced blocks of a language; "" is that of shell commands."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [block for its_language, block in found if its_language == language]


def blocks(section: str, language: str = "python") -> list[str]:
    """The fenced blocks of a language in a section."""
    return fenced(SECTIONS[section], language)


WITH_EXAMPLES = [section for section in SECTIONS if "@hookimpl" in "".join(blocks(section))]


def signature(function: Callable[..., Any]) -> str:
    """As it is written, such as "jepa_losses() -> list[type]"."""
    (definition,) = ast.parse(inspect.cleandoc("\n" + inspect.getsource(function))).body
    assert isinstance(definition, ast.FunctionDef)
    return (
        f"{definition.name}({ast.unparse(definition.args)}) -> {ast.unparse(definition.returns or ast.Constant(None))}"
    )


def as_module(section: str) -> str:
    """All code of a section; imports from the future may stand at the top alone."""
    return "\n\n".join(blocks(section))


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_is_documented_as_it_is_defined(hook: str) -> None:
    assert f"`{signature(HOOKS[hook])}`" in TEXT
    assert f"@hookimpl\ndef {signature(HOOKS[hook])}:" in TEXT


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_has_an_example_that_is_run_here(hook: str) -> None:
    assert any(f"\ndef {hook}(" in as_module(section) for section in WITH_EXAMPLES)


@pytest.mark.parametrize("family", hookspecs.FAMILIES)
def test_everything_that_a_component_is_told_is_documented(family: str) -> None:
    facts_class = getattr(facts, f"{family.capitalize()}Facts")
    prose = re.sub(r"^```.*?^```$", "", SECTIONS[SECTION_OF[family]], flags=re.DOTALL | re.MULTILINE)
    assert f"`build({facts_class.__name__})`" in prose
    assert [field.name for field in attrs.fields(facts_class) if f"`{field.name}`" not in prose] == []


@pytest.mark.parametrize("result", RESULTS, ids=lambda result: result.__name__)
def test_every_part_of_what_is_exchanged_is_documented(result: Any) -> None:
    assert f"`{result.__name__}`" in TEXT
    assert [field.name for field in dataclasses.fields(result) if f"`{field.name}`" not in TEXT] == []


@pytest.mark.parametrize("method", OPTIONAL, ids=lambda method: method.__name__)
def test_what_a_component_may_offer_is_documented_with_its_arguments(method: Callable[..., Any]) -> None:
    arguments = [name for name in inspect.signature(method).parameters if name != "self"]
    assert f"`{method.__name__}({', '.join(arguments)})`" in TEXT


def test_every_method_of_an_observer_is_documented_as_it_is_defined() -> None:
    (definition,) = ast.parse(inspect.getsource(contracts.Observer)).body
    assert isinstance(definition, ast.ClassDef)
    methods = [node for node in definition.body if isinstance(node, ast.FunctionDef)]
    written = [f"{m.name}({ast.unparse(m.args)}) -> {ast.unparse(m.returns or ast.Constant(None))}" for m in methods]
    documented = SECTIONS["Observers"].replace("\\|", "|")
    assert written
    assert [text for text in written if f"`{text}`" not in documented] == []


def test_every_argument_of_a_setting_is_documented() -> None:
    described = TEXT[TEXT.index("fields made by `setting(") :].partition("\n- ")[0]
    code = " ".join(re.findall(r"`(.*?)`", described))
    assert set(inspect.signature(setting).parameters) <= set(re.findall(r"\w+", code))


def test_an_entry_point_is_declared_in_our_group() -> None:
    (declared,) = blocks("What every component has", "toml")
    assert set(tomllib.loads(declared)["project"]["entry-points"]) == {ENTRY_POINT_GROUP}


def test_the_check_in_python_runs(tmp_path: Path) -> None:
    (code,) = blocks("Checking")
    path = tmp_path / "checking.py"
    path.write_text(code, encoding="utf-8")
    assert runpy.run_path(str(path))["results"]


def test_the_line_for_pytest_is_that_of_the_plugin_for_pytest() -> None:
    (configured,) = blocks("Checking", "toml")
    options = tomllib.loads(configured)["tool"]["pytest"]["ini_options"]
    assert f'addopts = "{options["addopts"]}"' in (pytest_plugin.__doc__ or "")


def test_commands_and_flags_are_there() -> None:
    shell = "".join(fenced(TEXT, ""))
    commands = re.findall(r"\bjepa ((?:plugins )?[a-z]+)(.*)", shell)
    assert {command for command, _ in commands} >= {"plugins new", "plugins check", "plugins list", "run"}
    for command, rest in commands:
        resolved = program()
        for word in command.split():
            resolved = resolved[word]
        accepted = {name for argument in resolved.assemble_argument_collection() for name in argument.names}
        assert set(re.findall(r"--[a-z-]+", rest)) <= accepted, command
    assert f"{ENVIRONMENT_VARIABLE}=" in shell


@pytest.mark.parametrize("family", hookspecs.FAMILIES)
def test_an_example_is_what_jepa_plugins_new_writes(family: str) -> None:
    section = SECTION_OF[family]
    name = re.search(r'kind: ClassVar\[str\] = "(\w+)"', as_module(section))
    assert name is not None
    plugin = NewPlugin(family=family, name=name[1])
    assert blocks(section)[0] == plugin.contents()[plugin.component_path]


def test_the_example_of_a_benchmark_is_timed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "rank_of_embeddings.py"
    path.write_text(as_module("Benchmarks"), encoding="utf-8")
    with pytest.raises(SystemExit) as left:
        main(["bench", "rank", "--quick", "--device", "cpu", "--plugin", str(path)])
    assert left.value.code == 0
    assert "embeddings/s" in capsys.readouterr().out
    installed.cache_clear()


def test_everything_that_a_benchmark_is_told_is_documented() -> None:
    assert "`build(BenchmarkFacts)`" in SECTIONS["Benchmarks"]
    assert [f.name for f in attrs.fields(facts.BenchmarkFacts) if f"`{f.name}`" not in SECTIONS["Benchmarks"]] == []


@pytest.fixture(params=[section for section in WITH_EXAMPLES if section != "Benchmarks"])
def plugin_file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / f"{request.param.split()[0].lower()}.py"
    path.write_text(as_module(request.param), encoding="utf-8")
    return path


@pytest.fixture
def registry(plugin_file: Path) -> Iterator[Registry]:
    """All components of this environment and the section's."""
    yield installed(PluginChoice(files=(plugin_file,)))
    installed.cache_clear()


@pytest.fixture
def component(registry: Registry, plugin_file: Path) -> Component:
    assert registry.broken == ()
    (component,) = (c for c in registry.components.values() if c.distribution == str(plugin_file))
    return component


def test_an_example_keeps_its_contract(component: Component) -> None:
    results = check_component(component)
    assert [result.text() for result in results if result.failed] == []
    assert any(result.outcome == "passed" for result in results)


def test_a_recipe_trains_with_an_example(
    component: Component, plugin_file: Path, tiny_recipe_file: Path, tmp_path: Path
) -> None:
    overrides = [NewPlugin(family=component.family, name=component.name).override, "data.num_sequences=40"]
    flags = [argument for override in overrides for argument in ("--set", override)]
    flags += ["--plugin", str(plugin_file), "--runs-dir", str(tmp_path / "runs"), "--device", "cpu"]
    with pytest.raises(SystemExit) as left:
        main(["run", str(tiny_recipe_file), *flags])
    assert left.value.code == 0
    (run,) = (tmp_path / "runs").iterdir()
    rows = list(RunReader(run).rows())
    assert max(row["step"] for row in rows) >= 1
    reported = {name for row in rows for name in row}
    assert {metric.name for metric in component.config_class.metrics} <= reported
    if component.family == "observer":
        told = (run / component.name / "figure.tsv").read_text().splitlines()
        assert len(told) == sum("loss.total" in row for row in rows)


def test_every_method_of_a_space_is_documented_with_its_arguments() -> None:
    methods = [name for name in vars(spaces.Space) if not name.startswith("_") and name not in ("kind", "plural")]
    assert {"examples", "keys", "editor"} <= set(methods)
    for name in methods:
        arguments = [each for each in inspect.signature(getattr(spaces.Space, name)).parameters if each != "self"]
        assert f"`{name}({', '.join(arguments)})`" in SECTIONS["Spaces"]


def test_what_a_migrated_plugin_looks_like_runs() -> None:
    (code,) = blocks("Migration")
    module: dict[str, Any] = {}
    exec(compile(code, "migration", "exec"), module)
    space = GridSpace(side=4)
    encoder = module["RowsConfig"]().build(facts.EncoderFacts(space=space))
    drawn = space.sample(6)
    assert encoder(drawn).values.shape == (6, 4, 11)
    pairs = drawn.map(lambda tensor: tensor.unflatten(0, (3, 2)))
    built = module["dataset"](pairs["grid"], pairs["size"], torch.arange(3))
    check_dataset(built, GridSpace)
    assert module[hookspecs.VERSION_NAME] == hookspecs.CONTRACT_VERSION


def test_what_has_changed_is_on_the_migration_page() -> None:
    assert set(hookspecs.CHANGED_IN_2) <= set(HOOKS)
    for text in ("space=GridSpace", "forward.z_observed", "facts.space.side", 'train.observations["grid"]'):
        assert text in SECTIONS["Migration"]
