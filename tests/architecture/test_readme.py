"""The plugin in the README works as it stands there: it is found, keeps its contract's shapes, and trains."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from jepa_core.cli import main
from jepa_core.conformance import check_component
from jepa_core.facts import AggregatorFacts
from jepa_core.registry import ENTRY_POINT_GROUP, Registry, installed
from jepa_core.run_directory.reading import RunReader

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"


def block(language: str) -> str:
    """The first fenced block of a language after the heading."""
    section = README.read_text(encoding="utf-8").partition("\n## A first plugin\n")[2]
    return section.partition(f"```{language}\n")[2].partition("```")[0]


@pytest.fixture
def project() -> dict[str, Any]:
    """The table `project` of the plugin's pyproject.toml."""
    table: dict[str, Any] = tomllib.loads(block("toml"))["project"]
    return table


@pytest.fixture
def registry(project: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """All components of this environment and the plugin, as if it were installed."""
    (module,) = project["entry-points"][ENTRY_POINT_GROUP].values()
    (tmp_path / f"{module}.py").write_text(block("python"), encoding="utf-8")
    metadata = tmp_path / f"{module}-{project['version']}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    points = "".join(f"{name} = {value}\n" for name, value in project["entry-points"][ENTRY_POINT_GROUP].items())
    (metadata / "entry_points.txt").write_text(f"[{ENTRY_POINT_GROUP}]\n{points}")
    monkeypatch.syspath_prepend(str(tmp_path))
    installed.cache_clear()
    yield installed()
    installed.cache_clear()


def test_the_package_depends_on_this_one(project: dict[str, Any]) -> None:
    assert project["dependencies"] == ["jepa-core"]


def test_the_plugin_is_found_beside_the_built_in_ones(registry: Registry, project: dict[str, Any]) -> None:
    component = registry.get("aggregator", "recency")
    assert component is not None
    assert component.origin == f"{project['name']} {project['version']}"
    assert component.summary
    assert registry.broken == ()
    assert "attention" in registry.family("aggregator")


def test_its_weights_halve_with_every_half_life_and_leave_masked_tokens_out(registry: Registry) -> None:
    component = registry.get("aggregator", "recency")
    assert component is not None
    aggregator = component.config_class(half_life=2.0).build(  # type: ignore[call-arg]  # its field, not the protocol's
        AggregatorFacts(embedding_dim=1, context_length=5, num_tokens=2)
    )
    values = torch.eye(5).reshape(5, 5, 1, 1).repeat(1, 1, 2, 1)
    values[:, :, 1] = 100.0
    mask = torch.tensor([True, False]).expand(5, 5, 2)
    weights = aggregator(values, mask).flatten()
    torch.testing.assert_close(weights.sum(), torch.tensor(1.0))
    torch.testing.assert_close(weights[2:] / weights[:-2], torch.full((3,), 2.0))


@pytest.mark.usefixtures("registry")
def test_a_recipe_trains_with_it(tiny_recipe_file: Path, tmp_path: Path) -> None:
    overrides = ["aggregator.kind=recency", "data.num_sequences=24", "train.batch_size=12"]
    flags = [argument for override in overrides for argument in ("--set", override)]
    with pytest.raises(SystemExit) as left:
        main(["run", str(tiny_recipe_file), *flags, "--runs-dir", str(tmp_path / "runs"), "--device", "cpu"])
    assert left.value.code == 0
    (run,) = (tmp_path / "runs").iterdir()
    assert max(row["step"] for row in RunReader(run).rows()) >= 1


def test_it_keeps_the_contract_of_its_family(registry: Registry) -> None:
    component = registry.get("aggregator", "recency")
    assert component is not None
    assert [result.text() for result in check_component(component) if result.failed] == []
