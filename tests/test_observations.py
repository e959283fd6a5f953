"""Named tensors with common leading dimensions: what is done to one is done to all."""

from __future__ import annotations

import pytest
import torch

from jepa_core.observations import Observations


@pytest.fixture
def observations() -> Observations:
    return Observations({"grid": torch.arange(4 * 3 * 2 * 2).view(4, 3, 2, 2), "size": torch.arange(24).view(4, 3, 2)})


def equal(a: Observations, b: Observations) -> bool:
    return a.tensors.keys() == b.tensors.keys() and all(tensor.equal(b[name]) for name, tensor in a.tensors.items())


def test_a_name_gives_its_tensor_and_anything_else_indexes_all(observations: Observations) -> None:
    assert observations["size"].shape == (4, 3, 2)
    for index in (slice(1, 3), (slice(None), slice(None, -1)), (slice(None), -1), torch.tensor([3, 0])):
        part = observations[index]
        assert part["grid"].equal(observations["grid"][index])
        assert part["size"].equal(observations["size"][index])
    assert len(observations[torch.tensor([True, False, True, False])]) == 2


def test_parts_joined_are_the_whole(observations: Observations) -> None:
    parts = observations.split(3)
    assert [len(part) for part in parts] == [3, 1]
    assert equal(Observations.cat(parts), observations)
    assert equal(Observations.cat([observations[:, :1], observations[:, 1:]], dim=1), observations)


def test_flattening_joins_the_first_two_dimensions_alone(observations: Observations) -> None:
    flat = observations.flatten()
    assert len(flat) == 12
    assert flat["grid"].equal(observations["grid"].view(12, 2, 2))


def test_it_passes_through_a_compiled_function(observations: Observations) -> None:
    def mean_of_first(batch: Observations) -> torch.Tensor:
        return Observations.cat([batch[:, :-1].flatten(), batch[:, -1]])["grid"].float().mean()

    compiled = torch.compile(mean_of_first, backend="eager", fullgraph=True)
    assert compiled(observations) == mean_of_first(observations)
