"""Small edits of images, batched, on their device: a part mirrored, two parts exchanged, a shift by one, channels.

All of these move pixels within an image and keep which there are: how often each value occurs says nothing of which
image was the first. Each is undone by one of the same kind that is drawn as often, and it changes an image if and only
if what undoes it does; so trying again until something changes marks no direction, either.

Shapes: B images of C channels and H × W pixels, P pixels of a sequence. Draws come from torch's global generator of the
device.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

_TRIES = 16
"""Of one kind of edit: most parts of a picture on a plain ground look like their mirror images."""

_LARGEST_PART = 4
"""Side of the largest part that is mirrored or exchanged, in pixels."""


@dataclass(frozen=True)
class Palette:
    """The different pixels of each sequence."""

    pixels: Tensor
    """(B, P, C): all of them, equal ones beside each other."""
    is_first: Tensor
    """(B, P) bool: which of the pixels are unlike the one before."""

    @staticmethod
    def of(sequences: Tensor) -> Palette:
        """Sequences (B, T+1, C, H, W)."""
        pixels = sequences.movedim(2, -1).flatten(1, 3)
        for channel in range(pixels.shape[2] - 1, -1, -1):
            order = pixels[..., channel].argsort(dim=1, stable=True)
            pixels = pixels.gather(1, order.unsqueeze(2).expand_as(pixels))
        is_first = torch.ones(pixels.shape[:2], dtype=torch.bool, device=pixels.device)
        is_first[:, 1:] = (pixels[:, 1:] != pixels[:, :-1]).any(2)
        return Palette(pixels, is_first)

    def other_than(self, now: Tensor) -> Tensor:
        """(B, C): for each pixel (B, C) another of its sequence, all others equally likely.

        Where the sequence has no other, black or white, whichever is farther in each channel.
        """
        allowed = self.is_first & (self.pixels != now.unsqueeze(1)).any(2)
        drawn = torch.where(allowed, torch.rand(allowed.shape, device=now.device), -1.0).argmax(1)
        of_sequence = self.pixels[torch.arange(len(now), device=now.device), drawn]
        return torch.where(allowed.any(1, keepdim=True), of_sequence, (now < 0.5).to(now.dtype))


def edited(images: Tensor, palette: Palette) -> Tensor:
    """Each image (B, C, H, W) with one random edit, of pixels of its own; never the same image.

    One pixel becomes another of the sequence where no edit that was tried changes the image.
    """
    kinds = _KINDS if images.shape[1] > 1 else _KINDS[:-1]
    kind = torch.randint(len(kinds), (len(images),), device=images.device)
    changed = images.clone()
    for _ in range(_TRIES):
        is_same = _is_same(changed, images)
        if not is_same.any():
            return changed
        for number, edit in enumerate(kinds):
            rows = (is_same & (kind == number)).nonzero().squeeze(1)
            changed[rows] = edit(images[rows])
    is_same = _is_same(changed, images)
    return torch.where(is_same[:, None, None, None], recoloured_pixel(images, palette), changed)


def recoloured_pixel(images: Tensor, palette: Palette) -> Tensor:
    """One pixel of each image becomes another that is in its sequence."""
    height, width = images.shape[2:]
    every = torch.arange(len(images), device=images.device)
    row, column = (torch.randint(side, (len(images),), device=images.device) for side in (height, width))
    changed = images.clone()
    changed[every, :, row, column] = palette.other_than(images[every, :, row, column])
    return changed


def shifted_by_one(images: Tensor) -> Tensor:
    """All moves by one pixel in one of four directions; what leaves on one side comes in on the other."""
    height, width = images.shape[2:]
    direction = torch.randint(4, (len(images), 1), device=images.device)
    step = torch.where(direction % 2 == 0, 1, -1)
    rows, columns = _coordinates(images)
    rows = torch.where(direction < 2, (rows - step) % height, rows)
    columns = torch.where(direction >= 2, (columns - step) % width, columns)
    return _taken_from(images, rows[:, :, None], columns[:, None, :])


def mirrored_part(images: Tensor) -> Tensor:
    """Left and right, or top and bottom, of a small rectangle change places."""
    height, width = images.shape[2:]
    is_vertical = torch.rand(len(images), 1, device=images.device) < 0.5
    spans = []
    for side, coordinates in zip((height, width), _coordinates(images), strict=True):
        size = torch.randint(1, min(side, _LARGEST_PART) + 1, (len(images), 1), device=images.device)
        start = (torch.rand(len(images), 1, device=images.device) * (side - size + 1)).long()
        spans.append((coordinates, start, size))
    inside = [(at >= start) & (at < start + size) for at, start, size in spans]
    is_part = inside[0][:, :, None] & inside[1][:, None, :]
    across = [2 * start + size - 1 - at for at, start, size in spans]
    rows = torch.where(is_vertical, across[0], spans[0][0])[:, :, None]
    columns = torch.where(is_vertical, spans[1][0], across[1])[:, None, :]
    return _taken_from(
        images,
        torch.where(is_part, rows, spans[0][0][:, :, None]),
        torch.where(is_part, columns, spans[1][0][:, None, :]),
    )


def exchanged_parts(images: Tensor) -> Tensor:
    """Two squares change places: cells of a lattice that is laid over the image at random, so that none overlap."""
    height, width = images.shape[2:]
    largest = max(1, min(height, width, _LARGEST_PART))
    rows, columns = _coordinates(images)
    size = torch.randint(1, largest + 1, (len(images), 1), device=images.device)
    row_offset, column_offset = (
        (torch.rand(len(images), 1, device=images.device) * (side % size + 1)).long() for side in (height, width)
    )
    num_columns = width // size
    num_cells = (height // size) * num_columns
    first = (torch.rand(len(images), 1, device=images.device) * num_cells).long()
    # The second is one of the others; where there is no other it is the first, and nothing changes.
    further = 1 + (torch.rand(len(images), 1, device=images.device) * (num_cells - 1)).long()
    second = (first + further) % num_cells
    corners = [
        (row_offset + cell // num_columns * size, column_offset + cell % num_columns * size) for cell in (first, second)
    ]
    source_rows, source_columns = rows[:, :, None], columns[:, None, :]
    for (row, column), (other_row, other_column) in (corners, corners[::-1]):
        in_rows, in_columns = (rows >= row) & (rows < row + size), (columns >= column) & (columns < column + size)
        is_part = in_rows[:, :, None] & in_columns[:, None, :]
        source_rows = torch.where(is_part, (rows - row + other_row)[:, :, None], source_rows)
        source_columns = torch.where(is_part, (columns - column + other_column)[:, None, :], source_columns)
    return _taken_from(images, source_rows, source_columns)


def exchanged_channels(images: Tensor) -> Tensor:
    """Two channels change places."""
    num_images, num_channels = images.shape[:2]
    order = torch.rand(num_images, num_channels, device=images.device).argsort(1)
    first, second = order[:, :1], order[:, 1:2]
    source = torch.arange(num_channels, device=images.device).expand(num_images, -1)
    source = torch.where(source == first, second, torch.where(source == second, first, source))
    return images.gather(1, source[:, :, None, None].expand_as(images))


def _is_same(images: Tensor, others: Tensor) -> Tensor:
    """(B, C, H, W) twice to (B,) bool."""
    return (images == others).flatten(1).all(1)


def _coordinates(images: Tensor) -> tuple[Tensor, Tensor]:
    """(1, H) and (1, W): the row and the column of every pixel."""
    return tuple(torch.arange(side, device=images.device)[None] for side in images.shape[2:])  # type: ignore[return-value]  # two of them


def _taken_from(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Pixel (y, x) of each image becomes that at rows and columns, both broadcasting to (B, H, W)."""
    num_images, num_channels, height, width = images.shape
    source = (rows * width + columns).expand(num_images, height, width).flatten(1)
    return images.flatten(2).gather(2, source.unsqueeze(1).expand(-1, num_channels, -1)).view_as(images)


_KINDS: tuple[Callable[[Tensor], Tensor], ...] = (shifted_by_one, mirrored_part, exchanged_parts, exchanged_channels)
"""The last is for images of several channels."""
