"""Images as pictures: in colour where they have one."""

from __future__ import annotations

import pytest
import torch

from jepa_core.spaces import HasPictures
from jepa_plugins.images.space import ImageSpace
from tests.images.random_images import random_images


@pytest.mark.parametrize(("channels", "shown"), [(1, (0, 0, 0)), (2, (0, 0, 0)), (3, (0, 1, 2)), (4, (0, 0, 0))])
def test_three_channels_are_colours_and_of_others_the_first_is_grey(channels: int, shown: tuple[int, ...]) -> None:
    images = random_images(3, channels=channels, height=6, width=5)
    space = ImageSpace(channels=channels, height=6, width=5)
    assert isinstance(space, HasPictures)
    pictures = space.pictures(images)
    assert pictures.shape == (3, 6, 5, 3)
    assert pictures.equal(torch.stack([images["pixels"][:, channel] for channel in shown], -1))
