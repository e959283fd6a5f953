"""Files of tensors are to the byte what the safetensors library makes of them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load, save
from torch import Tensor

from jepa_core.engine.safetensors_bytes import _NAMES, safetensors_bytes


@st.composite
def trees(draw: st.DrawFn) -> dict[str, Tensor]:
    names = draw(st.lists(st.text(st.characters(codec="utf-8"), max_size=5), unique=True, max_size=6))
    tensors = {}
    for name in names:
        dtype = draw(st.sampled_from(list(_NAMES)))
        shape = draw(st.lists(st.integers(0, 3), max_size=3))
        num_bytes = torch.empty(shape, dtype=dtype).nbytes
        content = draw(st.binary(min_size=num_bytes, max_size=num_bytes))
        if dtype == torch.bool:
            content = bytes(byte & 1 for byte in content)
        tensors[name] = torch.empty(shape, dtype=dtype)
        if num_bytes:
            tensors[name].reshape(-1).view(torch.uint8).copy_(torch.frombuffer(bytearray(content), dtype=torch.uint8))
    return tensors


@given(trees())
def test_they_are_to_the_byte_what_the_library_makes(tensors: dict[str, Tensor]) -> None:
    tensors.pop("__metadata__", None)
    assert bytes(safetensors_bytes(tensors)) == save(tensors)


def test_views_are_written_as_what_they_show() -> None:
    wide = torch.arange(12.0).view(3, 4)
    assert torch.equal(load(bytes(safetensors_bytes({"turned": wide.T})))["turned"], wide.T)


def test_a_number_type_that_the_format_lacks_is_named() -> None:
    with pytest.raises(ValueError, match=r"steps is of type torch\.complex128, which safetensors does not have"):
        safetensors_bytes({"steps": torch.zeros(1, dtype=torch.complex128)})
