"""InfoNCE with a queue, beside plain torch and pytorch-metric-learning.

Forward with backward: from contexts, targets and a full queue to the loss and
its gradients by contexts and temperature. On CUDA the loss is one fused pass,
elsewhere plain torch. The floor is the time at 700 TFLOP/s of the two matrix
products that cannot be saved: the similarities, and the mean negative.

    python benchmarks/contrast.py [--json]
    python benchmarks/contrast.py --case 4096 65536 --dim 256
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from jepa_core.contracts import Embeddings, Forward, Quantized, Statistics
from jepa_core.facts import LossFacts
from jepa_plugins.losses.info_nce import InfoNce, InfoNceConfig

ON_CUDA = ((512, 8_192), (4_096, 65_536), (8_192, 262_144))
ON_CPU = ((64, 512), (128, 1_024))
"""Sequences, slots of the queue."""
PEAK = 700e12
"""FLOP/s of dense float16 products that large ones reach on an H200."""
TEMPERATURE = 0.07

Step = Callable[[Tensor], Tensor]
"""Contexts (B, P) to a loss that a gradient can be taken of."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", type=int, nargs=2, action="append", metavar=("BATCH", "QUEUE"), help="instead of all")
    parser.add_argument("--dim", type=int, default=256, help="dimension of the projections (default: 256)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    device = torch.device(given.device)
    cases = [tuple(case) for case in given.case or (ON_CUDA if device.type == "cuda" else ON_CPU)]
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    results = []
    if not given.json:
        print(f"{name} · torch {torch.__version__} · {given.dim} dimensions · ratio to plain torch, above 1 is faster")
        print(f"{'':34}{'time':>12}{'ratio':>9}{'memory':>13}{'of floor':>10}")
    for batch, queue in cases:
        rows = _measured(batch, queue, given.dim, device)
        results.append({"batch": batch, "queue": queue, "results": rows})
        if not given.json:
            _print_rows(f"{batch:,} × ({batch:,} + {queue:,})", rows)
    if given.json:
        print(json.dumps({"device": name, "torch": torch.__version__, "dim": given.dim, "cases": results}))


def _measured(batch: int, queue: int, dim: int, device: torch.device) -> list[dict[str, Any]]:
    """A row for each way to the loss; `ms` is None where it cannot be had, and `why` says so."""
    torch.manual_seed(0)
    z_context, z_target = (torch.randn(batch, dim, device=device) for _ in range(2))
    negatives = F.normalize(torch.randn(queue, dim, device=device), dim=-1)
    floor = 2 * 2 * batch * (batch + queue) * dim / PEAK * 1e3
    rows = []
    for name, build in (("jepa", _built_in), ("plain torch", _plain), ("compiled torch", _compiled),
                        ("pytorch-metric-learning", _metric_learning)):  # fmt: skip
        row: dict[str, Any] = {"name": name, "ms": None, "peak_mib": None, "why": ""}
        try:
            work = functools.partial(_both_ways, build(z_target, negatives), z_context.clone().requires_grad_())
            row |= {"ms": _milliseconds(work, device), "peak_mib": _peak_mib(work, device)}
        except ModuleNotFoundError as error:
            row["why"] = f"{error.name} is not installed"
        except torch.OutOfMemoryError:
            row["why"] = "out of memory"
        rows.append(row)
    plain = next(row["ms"] for row in rows if row["name"] == "plain torch")
    for row in rows:
        row["ratio"] = plain / row["ms"] if plain and row["ms"] else None
        row["share_of_floor"] = floor / row["ms"] if device.type == "cuda" and row["ms"] else None
    return rows


def _print_rows(case: str, rows: list[dict[str, Any]]) -> None:
    print(case)
    for row in rows:
        if row["ms"] is None:
            print(f"  {row['name']:32}{row['why']:>12}")
            continue
        memory = "" if row["peak_mib"] is None else f"{row['peak_mib']:,.0f} MiB"
        share = "" if row["share_of_floor"] is None else f"{100 * row['share_of_floor']:.0f} %"
        print(f"  {row['name']:32}{row['ms']:>9.2f} ms{row['ratio'] or 0:>8.1f}×{memory:>13}{share:>10}")


def _built_in(z_target: Tensor, negatives: Tensor) -> Step:
    batch, dim = z_target.shape
    facts = LossFacts(embedding_dim=1, projection_dim=dim, context_length=1, num_tokens=1, batch_size=batch)
    loss: InfoNce = InfoNceConfig(queue=len(negatives), temperature=TEMPERATURE).build(facts).to(z_target.device)
    loss.after_step(Statistics(rows={"z_target": negatives}))
    return lambda z_context: loss(_forward(z_context, z_target)).value


def _forward(z_context: Tensor, z_target: Tensor) -> Forward:
    """What the loss looks at, and nothing in the rest."""
    none = torch.zeros(len(z_target), 1, device=z_target.device)
    tokens = Embeddings(none[:, None], none.bool())
    return Forward(
        z_context=z_context, z_target=z_target, predicted=none, state=none, target=none, context_embeddings=tokens,
        context_quantized=Quantized(values=none, codes=None, loss=none.sum(), statistics=Statistics()),
        target_tokens=tokens,
    )  # fmt: skip


def _plain(z_target: Tensor, negatives: Tensor) -> Step:
    log_temperature = torch.tensor(TEMPERATURE, device=z_target.device).log().requires_grad_()
    own = torch.arange(len(z_target), device=z_target.device)

    def contrast(z_context: Tensor) -> Tensor:
        candidates = torch.cat([F.normalize(z_target, dim=-1), negatives])
        return F.cross_entropy(F.normalize(z_context, dim=-1) / log_temperature.exp() @ candidates.T, own)

    return contrast


def _compiled(z_target: Tensor, negatives: Tensor) -> Step:
    compiled: Step = torch.compile(_plain(z_target, negatives))
    return compiled


def _metric_learning(z_target: Tensor, negatives: Tensor) -> Step:
    """Its NTXentLoss; it lists all pairs, and learns no temperature."""
    if importlib.util.find_spec("pytorch_metric_learning") is None:
        raise ModuleNotFoundError(name="pytorch_metric_learning")
    from pytorch_metric_learning.losses import NTXentLoss

    loss, labels = NTXentLoss(temperature=TEMPERATURE), torch.arange(len(z_target), device=z_target.device)
    candidate_labels = torch.arange(len(z_target) + len(negatives), device=z_target.device)

    def contrast(z_context: Tensor) -> Tensor:
        value: Tensor = loss(z_context, labels, ref_emb=torch.cat([z_target, negatives]), ref_labels=candidate_labels)
        return value

    return contrast


def _both_ways(step: Step, z_context: Tensor) -> None:
    z_context.grad = None
    step(z_context).backward()


def _milliseconds(work: Callable[[], None], device: torch.device, times: int = 20) -> float:
    """Median of several runs, each waited for."""
    for _ in range(5):
        work()
    taken = []
    for _ in range(times):
        _wait(device)
        begun = time.perf_counter()
        work()
        _wait(device)
        taken.append(1e3 * (time.perf_counter() - begun))
    return statistics.median(taken)


def _peak_mib(work: Callable[[], None], device: torch.device) -> float | None:
    """Most memory above what is there before; None on the CPU, whose memory torch does not count."""
    if device.type != "cuda":
        return None
    _wait(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    work()
    _wait(device)
    return (torch.cuda.max_memory_allocated(device) - before) / 2**20


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
