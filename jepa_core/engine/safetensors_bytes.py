"""Tensors as a safetensors file that is never in memory whole, put together beside other threads.

`safetensors.torch.save` gives the same bytes, but holds the interpreter's lock for 0.17 s per 140 MB, in which training
launches nothing. Here what lies side by side is read at once, and everything long is done without the lock.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

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
_CHUNK = 16 << 20
"""Bytes that are read at a time."""


class SafetensorsFile:
    """A file of tensors by name, which may lie on any device."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        """
        Raises:
            ValueError: a tensor of a number type that the format does not have.
        """
        ordered = in_order(tensors)
        entries, end = {}, 0
        for name, tensor in ordered.items():
            begin, end = end, end + tensor.nbytes
            entries[name] = {
                "dtype": _NAMES[tensor.dtype],
                "shape": list(tensor.shape),
                "data_offsets": [begin, end],
            }
        header = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
        header += b" " * (-len(header) % _ALIGNED)
        self._header = len(header).to_bytes(8, "little") + header
        self._tensors = [tensor for tensor in ordered.values() if tensor.numel()]
        self.num_bytes = len(self._header) + end

    def chunks(self) -> Iterator[memoryview]:
        """Its bytes in order; each chunk holds until the next is asked for."""
        yield memoryview(self._header)
        for run in _runs(self._tensors):
            yield from (_chunks_of_device if run.is_cuda else _chunks_of_host)(run)


def in_order(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors as a file holds them one behind the other: each where its number type is aligned.

    Raises:
        ValueError: a tensor of a number type that the format does not have.
    """
    for name, tensor in tensors.items():
        if tensor.dtype not in _NAMES:
            raise ValueError(f"{name} is of type {tensor.dtype}, which safetensors does not have")
    return dict(sorted(tensors.items(), key=lambda item: (_PLACES[item[1].dtype], item[0].encode())))


def flat_bytes(tensor: Tensor) -> Tensor:
    """uint8, a copy only where the tensor is not contiguous."""
    return tensor.detach().contiguous().view(-1).view(torch.uint8)


def _runs(tensors: Iterable[Tensor]) -> Iterator[Tensor]:
    """Bytes of tensors that are not empty; those that follow each other in memory as one."""
    run: Tensor | None = None
    for flat in map(flat_bytes, tensors):
        if run is not None and _follows(run, flat):
            run = run.new_empty(0).set_(run.untyped_storage(), run.storage_offset(), (len(run) + len(flat),), (1,))
            continue
        if run is not None:
            yield run
        run = flat
    if run is not None:
        yield run


def _follows(run: Tensor, flat: Tensor) -> bool:
    is_of_one = run.untyped_storage().data_ptr() == flat.untyped_storage().data_ptr()
    return is_of_one and run.data_ptr() + len(run) == flat.data_ptr()


def _chunks_of_host(run: Tensor) -> Iterator[memoryview]:
    content = run.numpy().data
    for begin in range(0, len(content), _CHUNK):
        yield content[begin : begin + _CHUNK]


def _chunks_of_device(run: Tensor) -> Iterator[memoryview]:
    """By way of two pinned buffers, of which one is filled while the other is read. To unpinned memory the driver would
    copy in pieces, and keep other threads from launching meanwhile."""
    buffers = [torch.empty(min(_CHUNK, len(run)), dtype=torch.uint8, pin_memory=True) for _ in range(2)]
    under_way: tuple[Tensor, torch.cuda.Event] | None = None
    for number, part in enumerate(run.split(_CHUNK)):
        before, buffer = under_way, buffers[number % 2][: len(part)]
        buffer.copy_(part, non_blocking=True)
        copied = torch.cuda.Event(blocking=True)
        copied.record()
        under_way = buffer, copied
        if before is not None:
            yield _arrived(*before)
    if under_way is not None:
        yield _arrived(*under_way)


def _arrived(buffer: Tensor, copied: torch.cuda.Event) -> memoryview:
    copied.synchronize()
    return buffer.numpy().data
