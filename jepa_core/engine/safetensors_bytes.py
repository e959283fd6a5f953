"""Tensors as the bytes of a safetensors file, put together beside other threads.

`safetensors.torch.save` gives the same bytes, but holds the interpreter's lock for 0.17 s per 140 MB, in which training
launches nothing. Here copies are torch's, which do without it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import torch
from torch import Tensor

_NAMES = {
    torch.bool: "BOOL", torch.uint8: "U8", torch.int8: "I8", torch.float8_e5m2: "F8_E5M2",
    torch.float8_e4m3fn: "F8_E4M3", torch.float8_e4m3fnuz: "F8_E4M3FNUZ", torch.float8_e5m2fnuz: "F8_E5M2FNUZ",
    torch.int16: "I16", torch.uint16: "U16", torch.float16: "F16",
    torch.bfloat16: "BF16", torch.int32: "I32", torch.uint32: "U32", torch.float32: "F32", torch.complex64: "C64",
    torch.float64: "F64", torch.int64: "I64", torch.uint64: "U64",
}  # fmt: skip
"""The format's names of number types, in the order of the file from its end: each begins where it is aligned."""

_PLACES = {dtype: place for place, dtype in enumerate(reversed(_NAMES))}
_ALIGNED = 8
"""Bytes of which the header's length is a multiple."""


def safetensors_bytes(tensors: Mapping[str, Tensor]) -> memoryview:
    """A safetensors file of tensors by name, which may lie on any device.

    Raises:
        ValueError: a tensor of a number type that the format does not have.
    """
    for name, tensor in tensors.items():
        if tensor.dtype not in _NAMES:
            raise ValueError(f"{name} is of type {tensor.dtype}, which safetensors does not have")
    ordered = sorted(tensors, key=lambda name: (_PLACES[tensors[name].dtype], name.encode()))
    entries, end = {}, 0
    for name in ordered:
        tensor = tensors[name]
        begin, end = end, end + tensor.nbytes
        shape = list(tensor.shape)
        entries[name] = {"dtype": _NAMES[tensor.dtype], "shape": shape, "data_offsets": [begin, end]}
    header = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    header += b" " * (-len(header) % _ALIGNED)

    content = torch.empty(_ALIGNED + len(header) + end, dtype=torch.uint8)
    place = 0
    for part in (len(header).to_bytes(8, "little"), header):
        content[place : place + len(part)] = torch.frombuffer(bytearray(part), dtype=torch.uint8)
        place += len(part)
    for name in ordered:
        flat = tensors[name].detach().contiguous().reshape(-1).view(torch.uint8)
        content[place : place + len(flat)].copy_(flat)
        place += len(flat)
    return content.numpy().data
