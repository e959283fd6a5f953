"""Sizes by which nothing could be trained are refused in a sentence; what could be trained never is."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import attrs
import pytest
import torch

from jepa_core.engine import affordable
from jepa_core.engine.affordable import host_memory, require_affordable
from jepa_core.engine.data_shape import DataShape
from jepa_core.engine.dataset import built_dataset
from jepa_core.engine.device import Compute
from jepa_core.engine.network import build_parts
from jepa_core.engine.optimizer import GatedAdam
from jepa_core.engine.step import trained_parameters
from jepa_core.errors import RecipeError
from jepa_core.metrics import Metric
from jepa_core.recipes.reading import load_recipe
from jepa_core.recipes.tables import Recipe
from jepa_core.registry import installed

CPU = Compute(torch.device("cpu"), "fp32")

SHIPPED = sorted(path.stem for path in Path("recipes").glob("*.toml"))
RecipeMaker = Callable[..., Recipe]

SILLY = [
    ("data.num_sequences", 10**12),
    ("encoder.dim", 10**8),
    ("encoder.layers", 10**8),
    ("quantizer.codes", 10**11),
    ("predictor.layers", 10**12),
    ("projector.layers", 10**8),
    ("projector.dim", 10**11),
    ("losses.info_nce.queue", 10**12),
    ("train.batch_size", 10**9),
    ("train.epochs", 10**17),
    ("train.accumulate", 10**17),
]


@pytest.mark.parametrize(("key", "value"), SILLY, ids=[key for key, _ in SILLY])
def test_a_silly_size_is_named_with_what_it_takes_and_what_to_do(
    tiny_recipe: RecipeMaker, key: str, value: int
) -> None:
    with pytest.raises(RecipeError) as caught:
        require_affordable(tiny_recipe(f"{key}={value}"), CPU)
    said = str(caught.value)
    assert said.startswith(f"{key} = {value} takes at least "), said
    assert " years on any computer" in said or "GiB of memory to train, and this computer has " in said
    assert "Make it smaller: " in said


def test_more_than_a_number_can_tell_is_said_so(tiny_recipe: RecipeMaker) -> None:
    with pytest.raises(RecipeError, match=r"^encoder.dim = 1000000000000 takes more memory than can be counted"):
        require_affordable(tiny_recipe(f"encoder.dim={10**12}"), CPU)


def test_of_two_silly_sizes_the_more_unusual_is_named(tiny_recipe: RecipeMaker) -> None:
    with pytest.raises(RecipeError, match=r"^projector.dim = 1000000000 takes "):
        require_affordable(tiny_recipe(f"encoder.dim={10**8}", f"projector.dim={10**9}"), CPU)


@pytest.fixture
def _allowed() -> Iterator[Callable[[float], None]]:
    """Sets what this process may have, as `ulimit -v` does, and takes it back."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    yield lambda num_bytes: resource.setrlimit(resource.RLIMIT_AS, (int(num_bytes), before[1]))
    resource.setrlimit(resource.RLIMIT_AS, before)


def test_a_shells_limit_is_what_there_is(_allowed: Callable[[float], None]) -> None:  # noqa: PT019
    there = host_memory()
    _allowed(there - 2**20)
    assert host_memory() == there - 2**20


def test_what_is_counted_is_what_training_holds(tiny_recipe: RecipeMaker) -> None:
    """Weights, gradients, moments, averages, buffers: as the step's own objects have them."""
    recipe = tiny_recipe("encoder.dim=64", "losses.info_nce.queue=512", "train.batch_size=1")
    dataset = built_dataset(recipe)
    shape = DataShape.of(dataset)
    parts = build_parts(recipe, shape, CPU.device)
    weights = trained_parameters(parts)
    optimizer = GatedAdam(recipe.optimizer, weights)
    moments = [tensor for moments in optimizer.state().values() for tensor in moments.values() if tensor.dim()]
    held = [*weights.values(), *weights.values(), *moments]  # a gradient is as large as its weight
    held += [*parts.target.parameters(), *parts.online.buffers(), *parts.losses.buffers()]
    model = sum(tensor.nbytes for tensor in held)
    data = sum(split.observations.num_bytes for split in (dataset.train, dataset.validation))
    need = affordable._Need(on_host=True, dataset=dataset)
    tokens = 4 * parts.online.num_tokens * 64
    batch = 2 * tokens + dataset.train.observations[:1].num_bytes
    assert need.of(recipe) == pytest.approx(model + data + batch, rel=1e-3)


def test_with_more_layers_than_are_counted_the_amount_grows_by_layers(
    tiny_recipe: RecipeMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    need = affordable._Need(on_host=False, dataset=None)
    many = tiny_recipe("projector.layers=3000")
    monkeypatch.setattr(affordable, "PATIENCE", 60.0)
    counted = need.counted(many)
    monkeypatch.setattr(affordable, "PATIENCE", 0.2)
    assert need.of(many) == pytest.approx(counted, rel=0.01)


def test_nothing_is_left_behind(tiny_recipe: RecipeMaker) -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    require_affordable(tiny_recipe("projector.dim=8192"), CPU)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.zeros(1).device == CPU.device
    torch.nn.Linear(2, 2)  # no hook is left to object


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_recipe_can_be_counted_and_trained(name: str) -> None:
    recipe = load_recipe(Path("recipes") / f"{name}.toml", registry=installed()).recipe
    require_affordable(recipe, CPU)
    assert affordable._Need(on_host=True, dataset=None).counted(recipe) > 2**20, "nothing was counted"


@pytest.mark.parametrize("name", SHIPPED)
def test_no_shipped_recipe_is_looked_at(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counting loads libraries, which takes a second."""

    def refuse(*_: Any) -> None:
        pytest.fail("it is built to be counted")

    monkeypatch.setattr(affordable, "build_parts", refuse)
    require_affordable(load_recipe(Path("recipes") / f"{name}.toml", registry=installed()).recipe, CPU)


def test_usual_sizes_are_not_looked_at(tiny_recipe: RecipeMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counting loads libraries, which a run of usual size is spared."""
    counted: list[Recipe] = []

    def looked_at(recipe: Recipe, *_: Any) -> None:
        counted.append(recipe)
        raise ValueError

    monkeypatch.setattr(affordable, "build_parts", looked_at)
    require_affordable(tiny_recipe("projector.dim=2048", "train.seed=123456", "losses.info_nce.queue=1024"), CPU)
    assert counted == []
    require_affordable(tiny_recipe("projector.dim=8192"), CPU)
    assert counted


def test_a_part_that_cannot_be_counted_is_let_through(tiny_recipe: RecipeMaker) -> None:
    """What is wrong with it is said where it is built."""

    @attrs.frozen(kw_only=True)
    class Odd:
        kind: ClassVar[str] = "odd"
        metrics: ClassVar[tuple[Metric, ...]] = ()

        def build(self, _facts: Any) -> Any:
            return torch.zeros(3).sum().item()

    require_affordable(attrs.evolve(tiny_recipe("projector.dim=4096"), predictor=Odd()), CPU)
