"""Where a split lies, and that batches are the same wherever it does."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from jepa_core.contracts import Observations, Sequences
from jepa_core.engine.batches import MOST_OF_THE_DEVICE, BatchStream, chosen_place
from jepa_core.engine.course import Position
from jepa_core.engine.dataset import built_dataset
from jepa_core.errors import JepaError, RecipeError
from jepa_core.recipes.reading import load_recipe
from jepa_core.registry import installed
from tests.engine.training import RecipeMaker, a_trainer
from tests.recipes.writing_recipes import write

CUDA = torch.device("cuda")
PLACE = Position(2, 8)


def drawn(count: int = 50) -> Sequences:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.rand(count, 3, 4, 4, generator=generator)
    return Sequences(observations=Observations({"pixels": pixels}), tasks=torch.arange(count))


def test_on_the_cpu_nothing_is_copied_whatever_is_asked_for() -> None:
    assert chosen_place("host", 1, torch.device("cpu")) == "device"
    stream = BatchStream(drawn(), 8, 1, torch.device("cpu"), place="host")
    assert stream.draw(PLACE)["pixels"].equal(BatchStream(drawn(), 8, 1, torch.device("cpu")).draw(PLACE)["pixels"])


def test_data_place_is_read_and_another_word_is_refused_at_its_line(tmp_path_factory: pytest.TempPathFactory) -> None:
    text = '[data]\nkind = "traces"\nplace = "{}"\n[encoder]\nkind = "cells"\n[losses.info_nce]\n'
    folder = tmp_path_factory.mktemp("recipes")
    assert load_recipe(write(folder, "host", text.format("host")), registry=installed()).recipe.place == "host"
    with pytest.raises(JepaError, match=r'(?s)host\.toml:3:9.*got the text "disk"'):
        load_recipe(write(folder, "host", text.format("disk")), registry=installed())


@pytest.mark.cuda
def test_batches_from_the_host_are_those_of_the_device_in_any_order() -> None:
    on_device, on_host = (BatchStream(drawn(), 8, 1, CUDA, place=place) for place in ("device", "host"))
    assert (on_device.place, on_host.place) == ("device", "host")
    places = [Position(epoch, drawn) for epoch, drawn in [(0, 0), (0, 8), (0, 16), (1, 0), (3, 5), (0, 8), (1, 0)]]
    for place, following in zip(places, [*places[1:], PLACE], strict=True):
        assert on_host.draw(place, following)["pixels"].equal(on_device.draw(place)["pixels"]), place
    assert on_host.sample(20)["pixels"].equal(on_device.sample(20)["pixels"])
    assert on_host.draw(PLACE)["pixels"].equal(on_device.draw(PLACE)["pixels"])


@pytest.mark.cuda
def test_auto_keeps_on_the_host_what_would_take_much_of_the_device() -> None:
    free, _ = torch.cuda.mem_get_info(CUDA)
    assert chosen_place("auto", int(free * MOST_OF_THE_DEVICE / 2), CUDA) == "device"
    assert chosen_place("auto", int(free * MOST_OF_THE_DEVICE * 2), CUDA) == "host"
    assert chosen_place("device", int(free * 10), CUDA) == "device"


@pytest.mark.parametrize(("accumulate", "epochs"), [(3, 1), (5, 2), (10**9, 4)])
def test_a_step_that_would_not_end_within_the_epochs_is_refused(
    tiny_recipe: RecipeMaker, tmp_path: Path, accumulate: int, epochs: int
) -> None:
    batch = len(built_dataset(tiny_recipe()).train) // 2
    sizes = f"train.batch_size={batch}", f"train.epochs={epochs}"
    with pytest.raises(RecipeError, match=rf"train.accumulate = {accumulate:,}: .* has {2 * epochs} of them in all"):
        a_trainer(tiny_recipe(*sizes, f"train.accumulate={accumulate}"), tmp_path)
    a_trainer(tiny_recipe(*sizes, f"train.accumulate={2 * epochs}"), tmp_path)
