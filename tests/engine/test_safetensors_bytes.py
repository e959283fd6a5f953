"""Files of tensors are to the byte what the safetensors library makes of them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load, save
from torch import Tensor

from jepa_core.engine import safetensors_bytes
from jepa_core.engine.safetensors_bytes import _NAMES, SafetensorsFile, flat_bytes, in_order


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


def content(tensors: dict[str, Tensor]) -> bytes:
    file = SafetensorsFile(tensors)
    found = b"".join(map(bytes, file.chunks()))
    assert len(found) == file.num_bytes
    return found


@given(trees(), st.booleans(), st.integers(1, 9))
def test_they_are_to_the_byte_what_the_library_makes(tensors: dict[str, Tensor], in_one: bool, chunk: int) -> None:
    tensors.pop("__metadata__", None)
    expected = save(tensors)
    if in_one and tensors:
        tensors = side_by_side(tensors)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(safetensors_bytes, "_CHUNK", chunk)
        assert content(tensors) == expected


def side_by_side(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same, one behind the other in one memory."""
    ordered = in_order(tensors)
    whole = torch.cat([flat_bytes(tensor) for tensor in ordered.values()])
    parts = whole.split([tensor.nbytes for tensor in ordered.values()])
    return {
        name: part.view(tensor.dtype).view(tensor.shape)
        for (name, tensor), part in zip(ordered.items(), parts, strict=True)
    }


def test_what_lies_side_by_side_is_read_at_once() -> None:
    tensors = side_by_side({str(number): torch.full((3,), float(number)) for number in range(20)})
    assert len(list(SafetensorsFile(tensors).chunks())) == 2


@pytest.mark.cuda
@pytest.mark.parametrize("numel", [1, 1000, 9_000_000])
def test_on_cuda_they_are_the_same(numel: int) -> None:
    tensors = {name: torch.randn(numel) for name in "ab"}
    assert content({name: tensor.cuda() for name, tensor in tensors.items()}) == save(tensors)
    assert content(side_by_side({name: tensor.cuda() for name, tensor in tensors.items()})) == save(tensors)


def test_views_are_written_as_what_they_show() -> None:
    wide = torch.arange(12.0).view(3, 4)
    assert torch.equal(load(content({"turned": wide.T}))["turned"], wide.T)


def test_a_number_type_that_the_format_lacks_is_named() -> None:
    with pytest.raises(ValueError, match=r"steps is of type torch\.complex128, which safetensors does not have"):
        SafetensorsFile({"steps": torch.zeros(1, dtype=torch.complex128)})
