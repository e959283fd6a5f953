"""The generated pages of the reference hold everything that the program has; no mkdocs is needed to know."""

from __future__ import annotations

import ast
import re
import typing
from pathlib import Path

import attrs
import pytest

import jepa_core
from docs.reference_pages import program as program_pages
from docs.reference_pages import watching
from docs.reference_pages.markdown import code, text
from docs.reference_pages.pages import PAGES
from docs.reference_pages.recipes import built_in
from jepa_core import conformance, facts, hookspecs
from jepa_core.cli import program
from jepa_core.engine.ending import Ending
from jepa_core.metrics import ENGINE_METRICS, loss_metrics, part_metrics
from jepa_core.recipes.engine_tables import ENGINE_TABLES, all_keys
from jepa_core.recipes.field_descriptions import describe_fields
from jepa_core.recipes.layout import UNTRAINED
from jepa_core.recipes.recipe_path import described_recipes
from jepa_core.recipes.structuring import GENERIC_FIELDS
from jepa_core.registry import installed
from jepa_core.run_directory import layout
from jepa_core.watch import rules
from jepa_core.watch.expressions import FUNCTIONS
from jepa_core.watch.findings import Firing
from jepa_core.watch.language import RuleError, parse_rule
from jepa_monitor.keys import ALL_KEYS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    """All generated pages."""
    return {name.removeprefix("reference/").removesuffix(".md"): page() for name, page in PAGES.items()}


def missing(names: typing.Iterable[str], page: str) -> list[str]:
    """Those that do not stand on the page as code."""
    return [name for name in names if code(name) not in page]


def test_every_table_of_a_recipe_has_its_fields(pages: dict[str, str]) -> None:
    page = pages["recipes"]
    watched = (rules.Baseline, rules.EarlyStop, rules.Criterion, rules.Abort, rules.Rollback, rules.Scenario)
    for owner in (*ENGINE_TABLES.values(), *GENERIC_FIELDS.values(), *watched):
        for field in describe_fields(owner):
            rows = [line for line in page.splitlines() if f"| {code(field.key)} |" in line]
            assert any(text(field.meaning) in row for row in rows), field.key
    assert missing((key for key in all_keys() if key in ("extends", "name", "description")), page) == []
    named = set(re.findall(r"\[(\w+)(?:\.NAME)?\]", page))
    assert set(all_keys()) - {"extends", "name", "description"} <= named


def test_every_component_has_its_fields_and_metrics(pages: dict[str, str]) -> None:
    anchored = dict(re.findall(r"\{ #([\w-]+) \}(.*?)(?=\n### |\Z)", pages["components"], re.DOTALL))
    for family in set(hookspecs.FAMILIES) - {"scenario"}:
        for name, component in built_in(installed(), family).items():
            section = anchored[f"{family}-{name}".replace("_", "-")]
            assert missing((field.key for field in describe_fields(component.config_class)), section) == [], name
            assert missing((metric.name for metric in component.config_class.metrics), pages["metrics"]) == [], name


def test_a_field_stands_with_type_default_and_range(pages: dict[str, str]) -> None:
    assert (
        "| `ema_decay` | a number | `0.99` | ≥ 0 and &lt; 1 | decay of the moving average per optimizer step |"
        in pages["recipes"]
    )


def test_every_metric_is_there(pages: dict[str, str]) -> None:
    declared = (*ENGINE_METRICS, *loss_metrics("NAME"), *part_metrics("PART"))
    assert missing((metric.name for metric in declared), pages["metrics"]) == []
    assert missing(["val.vq.usage", "val.attention.entropy"], pages["metrics"]) == []


def test_every_null_is_there(pages: dict[str, str]) -> None:
    assert missing([*built_in(installed(), "null"), UNTRAINED], pages["nulls"]) == []


def test_every_function_of_the_rule_language_is_there(pages: dict[str, str]) -> None:
    assert missing(FUNCTIONS, pages["rules"]) == []


def accepted(operators: type[ast.AST], form: str) -> set[str]:
    """The operators of a kind that a rule may have, as Python writes them."""
    found = set()
    for each in operators.__subclasses__():
        written = ast.unparse(ast.BinOp(ast.Name("a"), each(), ast.Name("b"))) if form == "binary" else None  # type: ignore[arg-type]
        if form == "compare":
            written = ast.unparse(ast.Compare(ast.Name("a"), [each()], [ast.Name("b")]))  # type: ignore[list-item]
        assert written is not None
        try:
            parse_rule(f"{written} > 1" if form == "binary" else written)
        except RuleError:
            continue
        found.add(written.removeprefix("a ").removesuffix(" b"))
    return found


def test_the_operators_are_those_that_a_rule_may_have() -> None:
    comparisons, arithmetic = accepted(ast.cmpop, "compare"), accepted(ast.operator, "binary")
    assert {" ".join(sorted(comparisons)), " ".join(sorted(arithmetic))} == {
        " ".join(sorted(signs.split())) for signs in list(watching.OPERATORS)[0:3:2]
    }


def test_every_scenario_is_there_with_what_it_comes_to_in_a_recipe(pages: dict[str, str]) -> None:
    page = pages["scenarios"]
    for name, component in built_in(installed(), "scenario").items():
        section = page.partition(f"\n## {code(name)} ")[2].partition("\n## ")[0]
        assert missing((field.key for field in describe_fields(component.config_class)), section) == []
        assert "\n```text\n" in section, f"{name} comes to nothing in any recipe of the package"


def written_events() -> set[str]:
    """The names of events that the source writes: first arguments of `.event(…)` and `events.write(…)`, and notices."""
    found = set()
    for source in (path.read_text(encoding="utf-8") for path in (ROOT / "jepa_core").rglob("*.py")):
        if not re.search(r"\.event\(|vents\.write\(|Notice\(", source):
            continue
        for node in ast.walk(ast.parse(source)):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            named = node.args[:1] if called.endswith((".event", "._deleted", "vents.write")) else []
            named += [word.value for word in node.keywords if called == "Notice" and word.arg == "name"]
            found |= {name.value for name in named if isinstance(name, ast.Constant) and isinstance(name.value, str)}
    return found - set(typing.get_args(rules.Severity))


def test_every_kind_of_event_is_there(pages: dict[str, str]) -> None:
    endings = set(typing.get_args(attrs.fields(attrs.resolve_types(Ending)).state.type)) - {"rolled_back"}
    assert {"started", "checkpoint", "write failed", "observer off"} <= written_events()
    assert written_events() | endings == watching.EVENTS.keys()
    assert missing(watching.EVENTS, pages["events"]) == []
    assert set(typing.get_args(typing.get_type_hints(Firing)["kind"])) == watching.FIRINGS.keys()
    assert missing(watching.FIRINGS, pages["events"]) == []


def test_every_command_is_there_with_all_its_options(pages: dict[str, str]) -> None:
    page = pages["commands"]
    for path in program_pages.command_paths():
        section = page.partition(f"# jepa {' '.join(path)}\n")[2].partition("\n## ")[0]
        command = program()
        for word in path:
            command = command[word]
        assert "Usage: jepa" in section, path
        if command.default_command is None:  # a group of commands
            continue
        options = [
            name
            for argument in command.assemble_argument_collection()
            for name in argument.names
            if name.startswith("--") and argument.show
        ]
        shown = re.sub(r"[│\s]+", " ", section)
        assert [name for name in options if name not in shown] == [], path


def test_every_file_of_a_run_directory_is_there(pages: dict[str, str]) -> None:
    names = {value for name, value in vars(layout).items() if name.isupper() and isinstance(value, str)}
    assert names <= program_pages.FILES.keys()
    assert missing((name if "." in name else f"{name}/" for name in program_pages.FILES), pages["run-directory"]) == []


def test_everything_behind_the_door_is_there_and_said(pages: dict[str, str]) -> None:
    page = pages["python"]
    assert missing((f"jepa.{name}" for name in jepa_core.__all__), page) == []
    for section in page.split("\n## ")[1:]:
        assert len(re.sub(r"```.*?```", "", section, flags=re.DOTALL).split()) > 5, section[:40]


def test_every_hook_fact_and_check_is_there(pages: dict[str, str]) -> None:
    page = pages["plugin-contract"]
    assert missing((f"{hook}() -> list[type]" for hook in hookspecs.HOOKS.values()), page) == []
    for family in hookspecs.HOOKS:
        owner = getattr(facts, f"{family.capitalize()}Facts")
        assert missing((field.name for field in attrs.fields(owner)), page) == []
    assert missing((check.name for check in conformance.CHECKS), page) == []


def test_every_key_of_the_monitor_is_there(pages: dict[str, str]) -> None:
    assert missing((key.id for key in ALL_KEYS), pages["keys"]) == []


def test_every_recipe_of_the_package_is_there(pages: dict[str, str]) -> None:
    assert missing(described_recipes(), pages["recipes"]) == []


@pytest.mark.parametrize("plain", ["a | b", "x_y * z", "<script>", "`a|b`", "[text](link)", "odd ` tick", "a && b"])
def test_plain_text_stays_itself_in_a_cell(plain: str) -> None:
    for shown in (text(plain), code(plain)):
        bars = re.sub(r"\\\||&#124;", "", shown)
        assert "|" not in bars
        assert "<s" not in re.sub(r"`[^`]*`", "", shown)
