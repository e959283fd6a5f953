"""What the audit says of grids."""

from __future__ import annotations

import torch

from jepa_plugins.grids.audit import count_objects
from jepa_plugins.grids.object_features import find_objects


def test_objects_are_counted_as_the_object_encoder_finds_them() -> None:
    generator = torch.Generator().manual_seed(1)
    grids = torch.randint(0, 4, (50, 7, 9), generator=generator, dtype=torch.uint8)
    grids[10:20, 5:] = 10
    sizes = torch.tensor([[7, 9]]).repeat(50, 1)
    expected = find_objects(grids, sizes, max_objects=63).mask.sum(1)
    assert torch.equal(count_objects(grids), expected)
