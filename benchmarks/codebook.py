"""Nearest code of every token, with count and sum of the tokens of each code.

Our quantizer beside plain torch: a table of scores from one product, its
largest, and `index_add`; as it is and through torch.compile. Below them is a
whole training step of our quantizer and of vector-quantize-pytorch's, where
installed: codes, commitment, statistics, averages and codebook.

The floor is 2 · tokens · codes · dimensions operations at 700 TFLOP/s, what
dense bf16 products reach on an H200. All is float32; a ratio is the time over
that of ours for the same work. Memory is what a call needs above its inputs.

    python benchmarks/codebook.py
    python benchmarks/codebook.py --tokens 4096 --dim 64 --codes 512 --json
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator

import attrs
import torch
from torch import Tensor

from jepa_core.facts import QuantizerFacts
from jepa_plugins.quantizers.ema_vq import EmaVqConfig
from jepa_plugins.quantizers.nearest import code_sums, nearest_codes

CASES = {
    "cuda": ((32_768, 384, 768), (262_144, 256, 8_192)),
    "cpu": ((2_048, 64, 256), (4_096, 128, 768)),
}
"""Tokens, dimensions, codes."""
FLOOR = 700e12
"""Operations per second."""

Work = Callable[[], object]


@attrs.frozen(kw_only=True)
class Row:
    """What one way took: median milliseconds, how often ours fits in, MiB above the inputs, share of the floor."""

    what: str
    ms: float
    ratio: float
    peak_mib: float | None
    of_floor: float | None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", choices=("cuda", "cpu"))
    parser.add_argument("--tokens", type=int, help="one size instead of the usual ones; with --dim and --codes")
    parser.add_argument("--dim", type=int)
    parser.add_argument("--codes", type=int)
    parser.add_argument("--times", type=int, default=20, help="calls that the median is of")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    sizes = [size for size in (given.tokens, given.dim, given.codes) if size is not None]
    if len(sizes) not in {0, 3}:
        parser.error("--tokens, --dim and --codes belong together: give all three, or none for the usual sizes")
    cases = [tuple(sizes)] if sizes else CASES[given.device]
    name = torch.cuda.get_device_name() if given.device == "cuda" else "CPU"
    if not given.json:
        print(f"{name} · torch {torch.__version__} · float32 · median of {given.times}")
    found = []
    for tokens, dim, codes in cases:
        if not given.json:
            print(
                f"\n{f'{tokens:,} tokens × {dim}, {codes:,} codes':42}{'ms':>9}{'ratio':>8}{'MiB':>8}{'of floor':>10}"
            )
        rows = []
        for row in _measured(tokens, dim, codes, given.device, given.times):
            rows.append(row)
            if not given.json:
                print(_line(row), flush=True)
        found.append({"tokens": tokens, "dim": dim, "codes": codes, "rows": [attrs.asdict(row) for row in rows]})
    if given.json:
        print(json.dumps({"device": name, "torch": torch.__version__, "times": given.times, "cases": found}))


def _line(row: Row) -> str:
    peak = "" if row.peak_mib is None else f"{row.peak_mib:,.0f}"
    share = "" if row.of_floor is None else f"{100 * row.of_floor:.0f} %"
    return f"  {row.what:40}{row.ms:>9.2f}{row.ratio:>7.1f}×{peak:>8}{share:>10}"


def _measured(tokens: int, dim: int, codes: int, device: str, times: int) -> Iterator[Row]:
    torch.manual_seed(0)
    tokens_GMd = torch.randn(1, tokens, dim, device=device)
    codebook_GKd = torch.randn(1, codes, dim, device=device)
    parts: dict[str, Work] = {
        "ours": lambda: _ours(tokens_GMd, codebook_GKd),
        "plain torch": lambda: _plain(tokens_GMd, codebook_GKd),
        "plain torch, compiled": _compiled(tokens_GMd, codebook_GKd),
    }
    steps: dict[str, Work] = {"ours, a whole step": _our_step(tokens_GMd, codes)}
    peers = _step_of_peer(tokens_GMd, codes)
    if peers is not None:
        steps["vector-quantize-pytorch, a whole step"] = peers
    floor = 2e3 * tokens * dim * codes / FLOOR if device == "cuda" else None
    for group in (parts, steps):
        first: float | None = None
        for what, work in group.items():
            milliseconds = _milliseconds(work, device, times)
            first = first or milliseconds
            yield Row(
                what=what,
                ms=milliseconds,
                ratio=milliseconds / first,
                peak_mib=_peak(work) if device == "cuda" else None,
                of_floor=None if floor is None else floor / milliseconds,
            )


def _ours(tokens_GMd: Tensor, codebook_GKd: Tensor) -> tuple[Tensor, Tensor]:
    codes_GM = nearest_codes(tokens_GMd, codebook_GKd)
    return code_sums(tokens_GMd, codes_GM, torch.ones_like(tokens_GMd[0, :, 0]), codebook_GKd.shape[1])


def _plain(tokens_GMd: Tensor, codebook_GKd: Tensor) -> tuple[Tensor, Tensor]:
    tokens_Md, codebook_Kd = tokens_GMd[0], codebook_GKd[0]
    codes_M = (tokens_Md @ codebook_Kd.T - codebook_Kd.square().sum(-1) / 2).argmax(-1)
    counts_K = torch.zeros_like(codebook_Kd[:, 0]).index_add(0, codes_M, torch.ones_like(tokens_Md[:, 0]))
    return counts_K, torch.zeros_like(codebook_Kd).index_add(0, codes_M, tokens_Md)


def _compiled(tokens_GMd: Tensor, codebook_GKd: Tensor) -> Work:
    compiled = torch.compile(_plain, dynamic=False)
    return lambda: compiled(tokens_GMd, codebook_GKd)


def _our_step(tokens_GMd: Tensor, codes: int) -> Work:
    config = EmaVqConfig(codes=codes, revive_at_most=0)
    quantizer = config.build(QuantizerFacts(embedding_dim=tokens_GMd.shape[-1])).to(tokens_GMd.device)
    mask = torch.ones(tokens_GMd.shape[:2], dtype=torch.bool, device=tokens_GMd.device)

    @torch.no_grad()
    def step() -> None:
        quantizer.after_step(quantizer(tokens_GMd, mask, collect=True).statistics)

    return step


def _step_of_peer(tokens_GMd: Tensor, codes: int) -> Work | None:
    try:
        from vector_quantize_pytorch import VectorQuantize
    except ImportError:
        print("vector-quantize-pytorch is left out: pip install vector-quantize-pytorch", file=sys.stderr)
        return None
    peer = VectorQuantize(
        dim=tokens_GMd.shape[-1], codebook_size=codes, decay=0.95, commitment_weight=0.15, rotation_trick=False
    ).to(tokens_GMd.device)

    @torch.no_grad()
    def step() -> None:
        peer(tokens_GMd)

    return step


def _milliseconds(work: Work, device: str, times: int) -> float:
    """Median; a call ends when the device is done."""
    taken = []
    for call in range(5 + times):
        _wait(device)
        begun = time.perf_counter()
        work()
        _wait(device)
        if call >= 5:
            taken.append(1e3 * (time.perf_counter() - begun))
    return statistics.median(taken)


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def _peak(work: Work) -> float:
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    work()
    torch.cuda.synchronize()
    return (torch.cuda.max_memory_allocated() - before) / 2**20


if __name__ == "__main__":
    main()
