"""Cutting recordings, and splitting one in time."""

from __future__ import annotations

import re

import attrs
import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jepa_plugins.arrays.windows import Cut, stretches, within_one


def cut(places: int = 3, length: int = 1, stride: int = 1, *, is_windowed: bool = False) -> Cut:
    return Cut(num_places=places, length=length, is_windowed=is_windowed, stride=stride)


def test_windows_of_series_are_consecutive_pieces_and_no_number_is_copied() -> None:
    recordings = torch.arange(2 * 20 * 3).view(2, 20, 3)
    windows = cut(2, 4, 5, is_windowed=True).windows(recordings)
    assert windows.shape == (2, 3, 2, 4, 3)
    for start, own in zip((0, 5, 10), windows[1], strict=True):
        np.testing.assert_array_equal(own.numpy(), recordings[1, start : start + 8].view(2, 4, 3).numpy())
    assert windows.untyped_storage().data_ptr() == recordings.untyped_storage().data_ptr()


def test_windows_of_frames_are_consecutive_frames() -> None:
    frames = torch.arange(6 * 2 * 2).view(1, 6, 1, 2, 2)
    windows = cut(3, stride=2).windows(frames)
    assert windows.shape == (1, 2, 3, 1, 2, 2)
    assert windows[0, 1].equal(frames[0, 2:5])


@settings(max_examples=200, deadline=None)
@given(st.integers(2, 5), st.integers(1, 6), st.integers(1, 30), st.integers(2, 200), st.floats(0.01, 0.99))
def test_no_step_is_on_both_sides_and_only_what_touches_both_is_left_out(
    places: int, length: int, stride: int, num_steps: int, share: float
) -> None:
    how = cut(places, length, stride, is_windowed=True)
    if how.shortage(num_steps, to_split=True):
        fits = how.span + -(-how.span // stride) * stride <= num_steps
        assert not fits
        return
    num_windows = how.windows(torch.zeros(1, num_steps, 1)).shape[1]
    end, first = how.split_in_time(num_windows, share)
    assert 1 <= end <= first < num_windows
    starts = np.arange(num_windows) * stride
    assert starts[end - 1] + how.span <= starts[first]
    assert starts[end] + how.span > starts[first]


def test_the_last_share_validates() -> None:
    how = cut(4)
    assert how.split_in_time(1000, 0.1) == (897, 900)
    assert how.split_in_time(1000, 0.001) == (996, 999)


def test_a_recording_that_is_too_short_says_how_long_it_must_be() -> None:
    how = cut(4, 32, 32, is_windowed=True)
    assert re.match(r"a recording has 127 steps, and at least 128 are needed: .* 4 windows of 32", how.shortage(127))
    assert how.shortage(128) == ""
    assert "Lower data.context_length or data.length (31 or less), or give a longer" in how.shortage(127)
    assert "data.length (12 or less)" in how.shortage(100, to_split=True)
    shorter = attrs.evolve(how, length=12, stride=12)
    assert shorter.shortage(100, to_split=True) == ""
    assert "or less" not in how.shortage(3)
    assert re.search(r"at least 256 are needed: .*and as many again to validate on", how.shortage(255, to_split=True))
    assert how.shortage(256, to_split=True) == ""


def test_stretches_are_contiguous_and_about_equally_long() -> None:
    numbers = stretches(1003)
    assert (numbers.diff() >= 0).all()
    counts = numbers.unique(return_counts=True)[1]
    assert len(counts) == 50
    assert counts.max() - counts.min() <= 1
    assert stretches(300, 0.1).max() == 9
    assert stretches(3, 0.1).tolist() == [0, 1, 2]


def test_a_window_within_one_mark_has_no_other() -> None:
    marks = torch.tensor([0, 0, 0, 1, 1, 1, 1])
    assert within_one(marks, cut(3)).tolist() == [True, False, False, True, True]
    assert within_one(marks, cut(3, stride=3)).tolist() == [True, True]
