"""What shapes are read as."""

from __future__ import annotations

import re

import pytest
import torch

from jepa_core.errors import DataError
from jepa_plugins.arrays.files import Header
from jepa_plugins.arrays.readings import READINGS, Holds, ObservedAs, Reading
from jepa_plugins.arrays.understood import understand


def read(
    shape: tuple[int, ...], dtype: str = "float32", observed_as: ObservedAs | None = None, holds: Holds | None = None
) -> Reading:
    return understand("file.npz: observations", Header(shape, dtype), observed_as, holds).reading


@pytest.mark.parametrize(
    ("shape", "dtype", "expected"),
    [
        ((1000,), "float32", "series, one recording (time)"),
        ((1000, 3), "float32", "series, one recording (time, C)"),
        ((1000, 384), "float32", "vectors, one recording (time, D)"),
        ((1000, 384), "uint8", "vectors, one recording (time, D)"),
        ((500, 64, 64), "uint8", "images, one recording (time, H, W)"),
        ((900, 4, 6), "float32", "vectors, ready sequences (S, T+1, D)"),
        ((20, 1000, 3), "float64", "series, several recordings (R, time, C)"),
        ((20, 1000, 384), "float32", "vectors, several recordings (R, time, D)"),
        ((900, 4, 32, 2), "float32", "series, ready sequences (S, T+1, L, C)"),
        ((900, 3, 32, 2), "float32", "series, ready sequences (S, T+1, L, C)"),
        ((500, 64, 64, 3), "uint8", "images, one recording (time, H, W, C)"),
        ((500, 64, 64, 3), "float32", "images, one recording (time, H, W, C)"),
        ((500, 3, 64, 48), "uint8", "images, one recording (time, C, H, W)"),
        ((500, 3, 28, 28), "float32", "images, one recording (time, C, H, W)"),
        ((20, 100, 28, 28), "uint8", "images, several recordings (R, time, H, W)"),
        ((900, 4, 3, 64, 64), "float32", "images, ready sequences (S, T+1, C, H, W)"),
        ((900, 4, 64, 64, 3), "uint8", "images, ready sequences (S, T+1, H, W, C)"),
        ((20, 100, 64, 64, 3), "uint8", "images, several recordings (R, time, H, W, C)"),
        ((20, 100, 1, 64, 64), "float32", "images, several recordings (R, time, C, H, W)"),
    ],
)
def test_a_shape_is_read_as_what_it_most_looks_like(shape: tuple[int, ...], dtype: str, expected: str) -> None:
    assert read(shape, dtype).text() == expected


@pytest.mark.parametrize(
    ("shape", "observed_as", "holds", "expected"),
    [
        ((1000, 3), "vectors", None, "vectors, one recording (time, D)"),
        ((1000, 384), "series", None, "series, one recording (time, C)"),
        ((500, 64, 64), "images", None, "images, one recording (time, H, W)"),
        ((20, 9, 3), "series", None, "series, several recordings (R, time, C)"),
        ((20, 9, 3), "vectors", "recordings", "vectors, several recordings (R, time, D)"),
        ((20, 9, 3), None, "recordings", "series, several recordings (R, time, C)"),
        ((20, 9, 12, 12), "images", "recordings", "images, several recordings (R, time, H, W)"),
        ((500, 12, 64, 64), "images", "recording", "images, one recording (time, C, H, W)"),
        ((500, 64, 64, 12), "images", "recording", "images, one recording (time, H, W, C)"),
        ((500, 64, 16, 16), "images", "recording", "images, one recording (time, C, H, W)"),
        ((60, 6, 16, 18, 2), "images", "sequences", "images, ready sequences (S, T+1, H, W, C)"),
        ((60, 6, 16, 18), "images", "sequences", "images, ready sequences (S, T+1, H, W)"),
        ((500, 4, 3, 28, 28), None, "recordings", "images, several recordings (R, time, C, H, W)"),
    ],
)
def test_what_the_recipe_says_comes_first(
    shape: tuple[int, ...], observed_as: ObservedAs | None, holds: Holds | None, expected: str
) -> None:
    assert read(shape, "float32", observed_as, holds).text() == expected


def test_what_was_inferred_is_said_and_what_was_told_is_not() -> None:
    header = Header((20, 9, 3), "float32")
    sentence, *otherwise = understand("x", header, None, None).notes()
    assert sentence == "observations (20, 9, 3) float32 are read as vectors, ready sequences (S, T+1, D)"
    assert len(otherwise) > 1
    told = understand("x", header, "series", "recordings")
    assert (told.notes(), told.doubt()) == ((), "")


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
@pytest.mark.parametrize("shape", [(2000, 3), (400, 128, 2), (200, 24, 24, 3), (50, 6, 16, 2), (50, 4, 3, 32, 32)])
def test_each_line_of_what_was_inferred_is_short_enough_to_be_read_at_a_glance(
    shape: tuple[int, ...], dtype: str
) -> None:
    assert max(map(len, understand("x", Header(shape, dtype), None, None).notes())) <= 110


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((500, 32, 32), "float32"),
        ((60, 6, 16, 16), "float32"),
        ((60, 6, 16, 16), "uint8"),
        ((60, 3, 16, 16), "uint8"),
        ((60, 6, 16, 16, 3), "uint8"),
        ((1000, 3), "float64"),
        ((1000, 384), "uint8"),
    ],
)
def test_every_other_meaning_of_a_shape_is_told_with_settings_that_lead_to_it(
    shape: tuple[int, ...], dtype: str
) -> None:
    understood = understand("x", Header(shape, dtype), None, None)
    told = {}
    for sentence in understood.otherwise:
        text, settings = re.fullmatch(r"for (.*), say (.*)", sentence).groups()  # type: ignore[union-attr]
        told[text] = read(shape, dtype, **dict(re.findall(r'data\.(\w+) = "(\w+)"', settings))).text()
    assert list(told) == list(told.values())
    pairs = {(reading.observed_as, reading.holds) for reading in READINGS if len(reading.dims) == len(shape)}
    assert len(told) == len(pairs) - 1


def test_a_transposed_recording_is_told_how_to_turn() -> None:
    def turned(shape: tuple[int, ...], observed_as: ObservedAs | None = None) -> bool:
        notes = understand("x", Header(shape, "float32"), observed_as, None).notes()
        return any("save numpy.swapaxes(observations, -1, -2)" in note for note in notes)

    assert turned((2, 3000))
    assert turned((2, 3000), "series")
    assert turned((20, 3, 1000))
    assert not turned((3000, 2))
    assert not turned((1000, 384))
    assert not turned((20, 4, 384), "vectors")


def test_channels_that_may_be_at_either_place_are_told_how_to_move() -> None:
    frames = torch.zeros(60, 3, 16, 3)
    understood = understand("x", Header((60, 3, 16, 3), "uint8"), "images", "recording")
    assert understood.reading.text() == "images, one recording (time, H, W, C)"
    assert understood.otherwise == ("for channels at the other place, save numpy.moveaxis(observations, -3, -1)",)
    assert frames.movedim(-3, -1).shape == (60, 16, 3, 3)


def test_a_single_picture_is_told_that_nothing_follows() -> None:
    alone = "for a single picture (H, W, C), give several: nothing follows on one"
    assert alone in understand("x", Header((64, 64, 3), "uint8"), None, None).notes()
    assert alone not in understand("x", Header((64, 64, 48), "uint8"), None, None).notes()


def test_images_whose_channels_cannot_be_found_are_refused_with_where_they_are_looked_for() -> None:
    with pytest.raises(DataError, match=r"does not show where the channels C are") as refused:
        read((60, 6, 16, 16, 16), "float32", "images", "sequences")
    listed = re.findall(r"^  images.*", str(refused.value), re.MULTILINE)
    assert listed == ["  images, ready sequences (S, T+1, C, H, W)", "  images, ready sequences (S, T+1, H, W, C)"]
    assert "numpy.moveaxis" in str(refused.value)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (Header((5,), "object"), r"Python objects \(dtype object\).*unequal length cannot be stacked"),
        (Header((5, 2), "complex64"), r"of type complex64\. Save real and imaginary part as two channels"),
        (Header((5, 2), "str32"), r"of type str32\. Save numbers"),
        (Header((0, 2), "float32"), r"empty: their shape is \(0, 2\)"),
        (Header((5,) * 6, "float32"), r"shape \(5, 5, 5, 5, 5, 5\) and the type float32, which is none that is read"),
        (Header((), "float32"), r"are a single number\. Give a recording \(time, channels\)"),
        (
            Header((9, 9, 12, 12, 7), "float32"),
            r"\(9, 9, 12, 12, 7\).*where the channels C are.*ready sequences \(S, T\+1, C, H, W\)",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_can(header: Header, message: str) -> None:
    with pytest.raises(DataError, match=f"(?s)file.npz: observations .*{message}"):
        understand("file.npz: observations", header, None, None)


def test_an_error_names_what_the_recipe_asked_for() -> None:
    with pytest.raises(
        DataError, match=r"with data\.observed_as = 'series' and data.holds = 'sequences' is none"
    ) as info:
        read((5, 3), "float32", "series", "sequences")
    assert str(info.value).count("(S, T+1, L, C)") == 1
    assert "images" not in str(info.value)


def test_rows_come_first_and_images_have_their_channels_before_height() -> None:
    frames = torch.arange(2 * 5 * 6 * 3).view(2, 5, 6, 3)
    arranged = read((2, 5, 6, 3), "uint8").arranged(frames)
    assert arranged.shape == (1, 2, 3, 5, 6)
    assert arranged[0, 1, 2, 3, 4] == frames[1, 3, 4, 2]
    assert arranged.data_ptr() == frames.data_ptr()
    grey = torch.zeros(7, 5, 6)
    assert read((7, 5, 6), "uint8").arranged(grey).shape == (1, 7, 1, 5, 6)
    assert read((9, 4, 8, 8, 3), "uint8").arranged(torch.zeros(9, 4, 8, 8, 3)).shape == (9, 4, 3, 8, 8)
    assert read((9, 4, 3, 8, 8)).arranged(torch.zeros(9, 4, 3, 8, 8)).shape == (9, 4, 3, 8, 8)
    assert read((100,)).arranged(torch.zeros(100)).shape == (1, 100, 1)
    assert read((100, 3)).arranged(torch.zeros(100, 3)).shape == (1, 100, 3)
