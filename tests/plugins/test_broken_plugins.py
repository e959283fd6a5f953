"""Distributions broken each in its own way: every message names distribution and remedy, and none stops a run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from jepa_core.cli import main
from jepa_core.discovery.remarks import PluginRemark
from jepa_core.registry import Registry, discover, installed
from jepa_core.run_directory.reading import RunReader
from tests.plugins.distributions import COMPONENT, PREFIX, SitePackages, on_the_path

GOOD = COMPONENT.format(kind="fine")
DERIVED = GOOD.replace("[Config]", "[type('Other', (Config,), {{'kind': '{}'}})]")


@attrs.frozen
class Broken:
    """A way to be broken."""

    source: str
    cause: str
    """Part of what is told."""
    entry_point: str = ""
    remark: str = "broken"


BROKEN = {
    "missing": Broken("import no_such_module.part", "ModuleNotFoundError: No module named 'no_such_module'"),
    "exit": Broken("raise SystemExit(3)", "SystemExit: 3"),
    "baseexception": Broken("raise type('Odd', (BaseException,), {'__str__': lambda s: 1 / 0})", "Odd, whose text"),
    "twin_a": Broken(COMPONENT.format(kind="a"), "its entry point is named 'twin', as is that of jepa-twin_b", "twin"),
    "twin_b": Broken(COMPONENT.format(kind="b"), "its entry point is named 'twin', as is that of jepa-twin_a", "twin"),
    "misspelt": Broken(
        GOOD.replace("def jepa_aggregators", "def jepa_agregators"),
        "unknown hook 'jepa_agregators'. Did you mean jepa_aggregators?",
    ),
    "arguments": Broken(
        GOOD.replace("jepa_aggregators()", "jepa_aggregators(facts)"),
        "jepa_aggregators takes no arguments, but is defined as jepa_aggregators(facts)",
    ),
    "raising": Broken(GOOD.replace("return [Config]", "raise ValueError('no')"), "aggregators raised ValueError: no"),
    "exiting": Broken(GOOD.replace("return [Config]", "raise SystemExit(0)"), "aggregators raised SystemExit: 0"),
    "no_list": Broken(GOOD.replace("[Config]", "Config"), "Config'>: return a list of configuration classes"),
    "nothing": Broken(GOOD.replace("return [Config]", "[Config]"), "jepa_aggregators returned None: return a list"),
    "instances": Broken(GOOD.replace("[Config]", "[Config()]"), "returned Config(), which is not an attrs class"),
    "thawed": Broken(GOOD.replace("frozen", "define"), "Config, which is not frozen: use @attrs.frozen"),
    "nameless": Broken(GOOD.replace(' = "fine"', ""), "Config, which has no name: add `kind: ClassVar[str]`"),
    "misnamed": Broken(GOOD.replace('"fine"', '"../fine"'), "of kind '../fine': use a-z, 0-9 and _"),
    "silent": Broken(GOOD.replace("metrics:", "figures:"), "Config, which declares no metrics: add `metrics:"),
    "unbuilt": Broken(GOOD.replace("def build", "def make"), "Config, which has no build(facts)"),
    "unresolved": Broken(GOOD.replace("def build", "x: 'Missing' = 1\n    def build"), "NameError: name 'Missing'"),
    "claim_a": Broken(DERIVED.format("claimed"), "which jepa-claim_b 1.0 offers too: none", remark="contested"),
    "claim_b": Broken(DERIVED.format("claimed"), "which jepa-claim_a 1.0 offers too: none", remark="contested"),
    "builtin_copy": Broken(COMPONENT.format(kind="mean"), "that of jepa-core is used", remark="contested"),
}


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SitePackages]:
    """All of them, and one with metadata that cannot be read, beside what is installed."""
    site = on_the_path(tmp_path / "site", monkeypatch)
    for name, broken in BROKEN.items():
        site.put(name, broken.source, entry_point=broken.entry_point)
    site.describe("garbled", "[jepa]\nno equals sign here\n")
    site.put("healthy", COMPONENT.format(kind="healthy"))
    installed.cache_clear()
    yield site
    installed.cache_clear()


def remarks_on(registry: Registry, distribution: str) -> list[PluginRemark]:
    return [remark for remark in registry.remarks if remark.distribution == distribution]


@pytest.mark.usefixtures("packages")
def test_each_is_told_with_distribution_version_cause_and_remedy() -> None:
    registry = discover()
    for name, broken in BROKEN.items():
        (remark,) = remarks_on(registry, f"jepa-{name}")
        assert remark in getattr(registry, broken.remark)
        assert remark.version == "1.0"
        assert broken.cause in remark.cause
        assert f"jepa-{name}" in remark.remedy
        assert "\n" not in remark.cause + remark.remedy
    (garbled,) = remarks_on(registry, "jepa-garbled")
    assert garbled.cause.startswith("its entry_points.txt cannot be read: ")
    assert "install jepa-garbled again" in garbled.remedy
    assert registry.get("aggregator", "healthy") is not None
    assert {component.distribution for component in registry.components.values()} >= {"jepa-core", "jepa-healthy"}
    assert {component.name for component in registry.components.values()}.isdisjoint({"fine", "a", "b", "claimed"})


LINES = {"exit": 1, "raising": 20, "misspelt": 19, "arguments": 19, "nothing": 19, "nameless": 6, "unbuilt": 6}
"""Of the source: what raises, else the function or the class that breaks the contract."""


def test_of_a_plugin_that_is_the_user_s_own_the_line_is_told(packages: SitePackages) -> None:
    for name in LINES:
        packages.make_editable(name)
    registry = discover()
    for name, number in LINES.items():
        (remark,) = remarks_on(registry, f"jepa-{name}")
        assert remark.remedy.startswith(f"correct {packages.folder}/{PREFIX}{name}.py:{number}, or leave it out: ")
    packages.put("typing", "def jepa_aggregators(:")
    packages.make_editable("typing")
    (remark,) = remarks_on(discover(), "jepa-typing")
    assert remark.remedy.startswith(f"correct {packages.folder}/{PREFIX}typing.py:1, ")


@pytest.mark.usefixtures("packages")
def test_the_list_names_each_and_json_has_them_all(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["plugins", "list", "--broken", "--json"])
    listed = json.loads(capsys.readouterr().out)
    told = {entry["distribution"]: entry for kind in ("broken", "contested") for entry in listed[kind]}
    assert {f"jepa-{name}" for name in BROKEN} | {"jepa-garbled"} <= told.keys()
    assert all(entry["cause"] and entry["remedy"] for entry in told.values())
    with pytest.raises(SystemExit):
        main(["plugins", "list", "--broken"])
    shown = "".join(capsys.readouterr().out.split())
    assert all(f"jepa-{name}" in shown for name in BROKEN)
    assert "contested" in shown


@pytest.mark.usefixtures("packages")
def test_none_stops_a_run_that_does_not_use_it(tiny_recipe_file: Path, tmp_path: Path) -> None:
    flags = ["--set", "aggregator.kind=healthy", "--runs-dir", str(tmp_path / "runs"), "--device", "cpu"]
    with pytest.raises(SystemExit) as left:
        main(["run", str(tiny_recipe_file), *flags])
    assert left.value.code == 0
    (run,) = (tmp_path / "runs").iterdir()
    assert max(row["step"] for row in RunReader(run).rows()) == 6


@pytest.mark.usefixtures("packages")
def test_a_recipe_that_names_one_is_refused_before_data_loads_with_the_reason(
    tiny_recipe_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--set", "aggregator.kind=fine", "--set", "data.kind=manifest", "--set", "data.path=missing.jsonl"]
    with pytest.raises(SystemExit) as left:
        main(["run", str(tiny_recipe_file), *flags, "--runs-dir", str(tmp_path / "runs")])
    assert left.value.code == 2
    error = capsys.readouterr().err
    assert "no aggregator of this name" in error
    assert "jepa-misspelt 1.0 could not be loaded and may offer it: unknown hook 'jepa_agregators'" in error
    assert "install the package that no_such_module comes from" in error
    assert not (tmp_path / "runs").exists()


@pytest.mark.usefixtures("packages")
def test_a_recipe_that_names_a_contested_component_is_told_who_claims_it(
    tiny_recipe_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["recipe", "check", str(tiny_recipe_file), "--set", "aggregator.kind=claimed"])
    assert left.value.code == 2
    shown = " ".join(capsys.readouterr().out.split())
    assert "jepa-claim_a 1.0 offers the aggregator 'claimed', which jepa-claim_b 1.0 offers too" in shown
    assert "--no-plugin jepa-claim_a" in shown
    assert "jepa-misspelt" not in shown, "the reason is known, so others are not suspected"


@pytest.mark.usefixtures("packages")
def test_leaving_one_claimant_out_settles_it(tiny_recipe_file: Path) -> None:
    flags = ["--set", "aggregator.kind=claimed", "--no-plugin", "jepa-claim-a"]
    with pytest.raises(SystemExit) as left:
        main(["recipe", "check", str(tiny_recipe_file), *flags])
    assert left.value.code == 0


@pytest.mark.usefixtures("packages")
def test_a_run_with_a_built_in_component_is_told_that_another_plugin_claims_it(
    tiny_recipe_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--set", "aggregator.kind=mean", "--set", "train.batch_size=48", "--runs-dir", str(tmp_path / "runs")]
    with pytest.raises(SystemExit) as left:
        main(["run", str(tiny_recipe_file), *flags, "--device", "cpu"])
    assert left.value.code == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "jepa-builtin_copy 1.0 offers the aggregator 'mean'" in printed
    assert "that of jepa-core is used" in printed


def test_a_slow_plugin_works_and_is_told_with_its_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = on_the_path(tmp_path / "site", monkeypatch)
    site.put("slow", GOOD)
    times = iter(float(3 * reading) for reading in range(1000))
    registry = discover(clock=lambda: next(times))
    (remark,) = [remark for remark in registry.slow if remark.distribution == "jepa-slow"]
    assert remark.cause == "took 3.0 s to load"
    assert "jepa-slow" in remark.remedy
    assert registry.get("aggregator", "fine") is not None
    assert "jepa-core" not in {slow.distribution for slow in registry.slow}
    site.make_editable("slow")
    (remark,) = [each for each in discover(clock=lambda: next(times)).slow if each.distribution == "jepa-slow"]
    assert remark.remedy.startswith("import what is heavy in build, or leave it out: ")
