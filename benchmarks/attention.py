"""Attention over a handful of tokens: the kernel of transformer blocks beside torch's scaled_dot_product_attention.

Forward with backward, bf16, on CUDA. The floor is the time to read and write queries, keys, values, output and their
gradients once, at the speed of a large copy measured in the same run.

    python benchmarks/attention.py
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from jepa_plugins.short_attention import short_attention

CASES = (
    (2_048, 16, 6, 64, 0.1),
    (8_192, 16, 6, 64, 0.1),
    (8_192, 16, 6, 64, 0.0),
    (8_192, 32, 6, 64, 0.1),
    (4_096, 48, 6, 64, 0.1),
)
"""Sequences, tokens, heads, dimension of a head, dropout."""


def main() -> None:
    speed = _copy_speed()
    print(f"{torch.cuda.get_device_name()} · torch {torch.__version__} · bf16 · copies at {speed / 1e12:.2f} TB/s")
    print(f"{'sequences × tokens × heads × dim, dropout':42}{'kernel':>10}{'torch':>10}{'ratio':>8}{'of floor':>10}")
    for sequences, tokens, heads, dim, dropout in CASES:
        qkv = torch.randn(sequences, tokens, 3, heads, dim, device="cuda", dtype=torch.bfloat16, requires_grad=True)
        allowed = torch.rand(sequences, tokens, tokens, device="cuda") < 0.7
        allowed[..., 0] = True
        grad = torch.randn(sequences, tokens, heads, dim, device="cuda", dtype=torch.bfloat16)
        ours = _milliseconds(lambda *given: short_attention(*given[0].unbind(2), *given[1:3]).backward(given[3]),
                             qkv, allowed, dropout, grad)  # fmt: skip
        theirs = _milliseconds(_of_torch, qkv, allowed, dropout, grad)
        # Forward: read q, k, v and write o. Backward: read q, k, v, do and write dq, dk, dv.
        floor = 11 * grad.numel() * grad.element_size() / speed * 1e3
        name = f"{sequences:,} × {tokens} × {heads} × {dim}, {dropout}"
        print(f"{name:42}{ours:>7.2f} ms{theirs:>7.2f} ms{theirs / ours:>7.1f}×{100 * floor / ours:>8.0f} %")


def _of_torch(qkv: Tensor, allowed: Tensor, dropout: float, grad: Tensor) -> None:
    queries, keys, values = qkv.transpose(1, 3).unbind(2)
    mixed = F.scaled_dot_product_attention(queries, keys, values, attn_mask=allowed[:, None], dropout_p=dropout)
    mixed.transpose(1, 2).backward(grad)


def _milliseconds(work: Callable[..., None], *given: object, times: int = 20) -> float:
    for _ in range(5):
        work(*given)
    begun, done = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begun.record()
    for _ in range(times):
        work(*given)
    done.record()
    torch.cuda.synchronize()
    return begun.elapsed_time(done) / times


def _copy_speed() -> float:
    """Bytes read and written per second."""
    source = torch.empty(2**30, dtype=torch.uint8, device="cuda")
    return 2 * source.numel() / _milliseconds(source.clone) * 1e3


if __name__ == "__main__":
    main()
