"""Discovery of plugins: every way in which one can be broken is told, and stops no other."""

from __future__ import annotations

import sys
from importlib.metadata import Distribution, EntryPoint, entry_points
from pathlib import Path

import attrs
import pytest

from jepa_core.errors import PluginError
from jepa_core.registry import BrokenPlugin, Registry, discover

GOOD = """
from typing import ClassVar
import attrs
from jepa_core.hookspecs import hookimpl

@attrs.frozen(kw_only=True)
class Config:
    '''Does {kind} well.

    And more.
    '''
    kind: ClassVar[str] = "{kind}"
    metrics: ClassVar[tuple[()]] = ()
    def build(self, facts): return self

@hookimpl
def jepa_aggregators(): return [Config]
"""


class Plugins:
    """Writes plugin modules with distributions of their own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def point(self, name: str, source: str, version: str = "1.0") -> EntryPoint:
        """The entry point of a module with the source, in the distribution `jepa-NAME`."""
        module = f"plugin_for_tests_{name}"
        (self._folder / f"{module}.py").write_text(source, encoding="utf-8")
        metadata = self._folder / f"jepa_{name}-{version}.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: jepa-{name}\nVersion: {version}\n")
        (metadata / "entry_points.txt").write_text(f"[jepa]\n{name} = {module}\n")
        (point,) = Distribution.at(metadata).entry_points
        return point


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plugins:
    """Modules below this test's folder are importable, and forgotten afterwards."""
    monkeypatch.syspath_prepend(str(tmp_path))
    for module in [name for name in sys.modules if name.startswith("plugin_for_tests_")]:
        monkeypatch.delitem(sys.modules, module)
    return Plugins(tmp_path)


def only_broken(registry: Registry) -> BrokenPlugin:
    """The single plugin that is broken."""
    (broken,) = registry.broken
    return broken


def test_a_plugins_component_is_found_with_its_origin_and_summary(plugins: Plugins) -> None:
    registry = discover([plugins.point("good", GOOD.format(kind="good"), version="2.1")])
    component = registry.get("aggregator", "good")
    assert component is not None
    assert (component.origin, component.summary) == ("jepa-good 2.1", "Does good well")
    assert registry.broken == ()
    assert registry.get("encoder", "good") is None


def test_components_of_a_family_are_listed_by_name_and_the_nearest_is_known(plugins: Plugins) -> None:
    points = [plugins.point(name, GOOD.format(kind=name)) for name in ("recency", "attention", "mean")]
    registry = discover(points)
    assert list(registry.family("aggregator")) == ["attention", "mean", "recency"]
    assert registry.closest("aggregator", "atention") == "attention"
    assert registry.closest("aggregator", "zzz") is None
    assert registry.closest("loss", "attention") is None


def test_of_a_component_that_two_distributions_offer_neither_is_used(plugins: Plugins) -> None:
    source = GOOD.format(kind="same")
    with_another = source.replace("return [Config]", "return [Config, type('Alone', (Config,), {'kind': 'alone'})]")
    points = [plugins.point("second", with_another), plugins.point("first", source)]
    registry = discover(points)
    assert registry.get("aggregator", "same") is None
    assert registry.get("aggregator", "alone") is not None, "what nobody else offers stays"
    assert registry.broken == ()
    first, second = registry.contested
    assert (first.distribution, second.distribution) == ("jepa-first", "jepa-second")
    assert second.cause == "offers the aggregator 'same', which jepa-first 1.0 offers too: none of them is used"
    assert second.remedy == "leave one out: --no-plugin jepa-second, or pip uninstall jepa-second"
    other_order = discover(reversed(points))
    assert other_order.contested == registry.contested
    assert other_order.components.keys() == registry.components.keys() == {("aggregator", "alone")}


def test_a_built_in_component_stays_when_another_distribution_offers_it(plugins: Plugins) -> None:
    points = [plugins.point("copy", GOOD.format(kind="mean")), *entry_points(group="jepa", name="builtin")]
    registry = discover(points)
    component = registry.get("aggregator", "mean")
    assert component is not None
    assert component.distribution == "jepa-core"
    (claim,) = registry.claims_on("aggregator", "mean")
    assert claim.distribution == "jepa-copy"
    assert claim.cause.endswith("offers too: that of jepa-core is used")
    assert "jepa-copy" in claim.remedy


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        ("import module_that_is_not_there", "ModuleNotFoundError: No module named 'module_that_is_not_there'"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise RuntimeError('boom')", "RuntimeError: boom"),
        ("this is no python", "SyntaxError: "),
        (
            GOOD.replace("def jepa_aggregators", "def jepa_agregators").format(kind="a"),
            "unknown hook 'jepa_agregators'",
        ),
        (GOOD.replace("frozen", "define").format(kind="a"), "Config, which is not frozen: use @attrs.frozen"),
        (GOOD.replace("@attrs.frozen(kw_only=True)\n", "").format(kind="a"), "which is not an attrs class"),
        (GOOD.replace('= "{kind}"', "").format(kind="a"), "Config, which has no name: add `kind: ClassVar[str]`"),
        (GOOD.format(kind="Not a name"), "Config of kind 'Not a name': use a-z, 0-9 and _, a letter first"),
        (GOOD.replace("metrics:", "figures:").format(kind="a"), "which declares no metrics: add `metrics: ClassVar"),
        (GOOD.replace("def build", "def make").format(kind="a"), "Config, which has no build(facts)"),
        (GOOD.replace("[Config]", "[3]").format(kind="a"), "jepa_aggregators returned 3, which is not an attrs class"),
        (GOOD.replace("return [Config]", "raise ValueError('no')").format(kind="a"), "ValueError: no"),
        (GOOD.replace("[Config]", "[Config, Config]").format(kind="a"), "offers the aggregator 'a' twice"),
        (
            GOOD.replace("@hookimpl", "").format(kind="a"),
            "offers nothing: decorate one of jepa_",
        ),
    ],
)
def test_a_broken_plugin_is_told_with_its_cause_and_stops_no_other(plugins: Plugins, source: str, cause: str) -> None:
    registry = discover([plugins.point("broken", source), plugins.point("good", GOOD.format(kind="good"))])
    broken = only_broken(registry)
    assert (broken.distribution, broken.version, broken.entry_point) == ("jepa-broken", "1.0", "broken")
    assert cause in broken.cause
    assert "jepa-broken" in broken.remedy
    assert registry.get("aggregator", "good") is not None
    assert registry.get("aggregator", "a") is None


def test_a_missing_module_is_remedied_by_the_package_that_has_it(plugins: Plugins) -> None:
    broken = only_broken(discover([plugins.point("faiss", "import module_that_is_not_there.index")]))
    assert broken.remedy == (
        "install the package that module_that_is_not_there comes from, or leave it out: --no-plugin faiss, "
        "or pip uninstall jepa-faiss"
    )


def test_without_any_entry_point_the_error_says_to_install() -> None:
    with pytest.raises(PluginError, match="A clone has to be installed first: make run"):
        discover([])


def test_the_registry_does_not_change(plugins: Plugins) -> None:
    registry = discover([plugins.point("good", GOOD.format(kind="good"))])
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        registry.broken = ()  # type: ignore[misc]  # that it fails is the point


def test_a_name_that_the_built_in_plugin_has_is_not_taken_from_it(plugins: Plugins) -> None:
    builtin = entry_points(group="jepa", name="builtin")
    registry = discover([plugins.point("builtin", GOOD.format(kind="good")), *builtin])
    broken = only_broken(registry)
    assert broken.distribution == "jepa-builtin"
    assert broken.cause == "its entry point is named 'builtin', as is that of jepa-core"
    assert registry.get("aggregator", "mean") is not None
    assert registry.get("aggregator", "good") is None


OLD_ENCODER = GOOD.format(kind="rows").replace("jepa_aggregators", "jepa_encoders")


def test_a_plugin_of_an_older_contract_is_refused_with_the_lines_to_change(plugins: Plugins) -> None:
    registry = discover([plugins.point("old", OLD_ENCODER), plugins.point("kept", GOOD.format(kind="kept"))])
    (broken,) = registry.broken
    assert "is written for version 1 of the plugin contract, and this jepa-core has version 2" in broken.cause
    assert "forward and read take observations" in broken.cause
    assert "JEPA_CONTRACT = 2" in broken.cause
    assert "Datasets:" not in broken.cause
    # What has not changed since is used as it is.
    assert list(registry.family("aggregator")) == ["kept"]


def test_an_encoder_of_this_contract_names_its_spaces(plugins: Plugins) -> None:
    now = OLD_ENCODER + "\nJEPA_CONTRACT = 2\n"
    (broken,) = discover([plugins.point("unnamed", now)]).broken
    assert "does not name the spaces that it takes: add `spaces: ClassVar" in broken.cause
    named = now.replace("    def build", "    spaces: ClassVar[tuple[type, ...]] = (int,)\n    def build")
    assert list(discover([plugins.point("named", named)]).family("encoder")) == ["rows"]


def test_a_plugin_of_a_newer_contract_asks_for_a_newer_jepa_core(plugins: Plugins) -> None:
    (broken,) = discover([plugins.point("newer", GOOD.format(kind="a") + "\nJEPA_CONTRACT = 9\n")]).broken
    assert "version 9 of the plugin contract" in broken.cause
    assert "use a newer jepa-core" in broken.cause


@pytest.mark.parametrize("version", ['"2"', "None", "True", "0", "2.0"])
def test_a_version_that_is_no_whole_number_is_told_as_it_is(plugins: Plugins, version: str) -> None:
    (broken,) = discover([plugins.point("odd", GOOD.format(kind="a") + f"\nJEPA_CONTRACT = {version}\n")]).broken
    assert broken.cause.startswith("has JEPA_CONTRACT = ")
    assert "it is a whole number, now 2" in broken.cause
