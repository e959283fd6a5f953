"""Built-in parts beside libraries that do the same: the benchmarks of `jepa bench`, with installed peers added.

    codebook     vector-quantize-pytorch's VectorQuantize, a whole training step
    contrast     pytorch-metric-learning's NTXentLoss, which lists all pairs
    tokeniser    scipy.ndimage.label with numpy's bincount, one grid after another on one core
    attention    torch's scaled_dot_product_attention, which needs nothing more

Ratios are to the same work in plain torch, in the same process. Peers that are not installed are left out, with a line.

    python benchmarks/peers.py
    python benchmarks/peers.py codebook contrast --json > peers.json
"""

# ruff: noqa: E402

from __future__ import annotations

# Before torch is imported, which reads it then.
from jepa_core.cli import prepare_torch

prepare_torch()

import argparse
import importlib.util
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import attrs
import torch
from scipy_objects import features_by_scipy
from torch import Tensor

from jepa_core.benchmarking.device_rates import machine, measured_rates
from jepa_core.benchmarking.results import MS, Rates, Report, Result, Row
from jepa_core.benchmarking.table import head_lines, part_lines, result_lines
from jepa_core.benchmarking.timing import Timing, timed
from jepa_core.benchmarking.ways import measured
from jepa_core.contracts import BenchmarkCase
from jepa_core.engine.device import choose_compute
from jepa_core.facts import BenchmarkFacts
from jepa_plugins.benchmarks.attention import AttentionBenchmark
from jepa_plugins.benchmarks.codebook import COMMITMENT, DECAY, CodebookBenchmark
from jepa_plugins.benchmarks.contrast import TEMPERATURE, ContrastBenchmark
from jepa_plugins.benchmarks.tokeniser import NUM_OBJECTS, TokeniserBenchmark

PARTS = {part.kind: part for part in (TokeniserBenchmark, CodebookBenchmark, ContrastBenchmark, AttentionBenchmark)}
MODULES = {
    "codebook": ("vector-quantize-pytorch", "vector_quantize_pytorch"),
    "contrast": ("pytorch-metric-learning", "pytorch_metric_learning"),
    "tokeniser": ("scipy", "scipy"),
}
"""Part → its peer's distribution and module."""
FEW_GRIDS = 128
"""That scipy is timed on: all of them would take minutes."""

Way = Callable[..., Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--quick", action="store_true", help="small sizes, nothing compiled")
    parser.add_argument("--json", action="store_true", help="print one JSON object; what is left out is said on stderr")
    given = parser.parse_args()
    if unknown := [part for part in given.parts if part not in PARTS]:
        parser.error(f"there is no part {unknown[0]!r}. Parts: {', '.join(PARTS)}")
    device = choose_compute(given.device, "auto").device
    rates, found = measured_rates(device, is_quick=given.quick), machine(device) | _versions()
    show: Callable[[str], None] = print if not given.json else lambda _: None
    for line in head_lines(found, rates):
        show(line)
    results = []
    for part in given.parts or PARTS:
        for line in part_lines(part, (PARTS[part].__doc__ or "").strip().rstrip(".")):
            show(line)
        if part in MODULES and not _is_installed(part):
            name = MODULES[part][0]
            print(f"{name} is not installed and left out: pip install {name}", file=sys.stderr)
        for result in _results(part, rates, device, is_quick=given.quick):
            results.append(result)
            for line in result_lines(result):
                show(line)
    if given.json:
        report = Report(machine=found, rates=rates, is_quick=given.quick, results=tuple(results))
        print(json.dumps(report.as_json(), indent=2))


def _results(part: str, rates: Rates, device: torch.device, *, is_quick: bool) -> Iterator[Result]:
    torch.manual_seed(0)
    for case in PARTS[part]().build(BenchmarkFacts(device=str(device), is_quick=is_quick)):
        is_installed = part not in MODULES or _is_installed(part)
        others = _peers(part, case) if is_installed else {}
        with_peers = replace(case, others={**case.others, **others})
        result = measured(part, with_peers, rates, device, is_quick=is_quick)
        if part == "tokeniser" and is_installed:
            result = attrs.evolve(result, rows=(*result.rows, _of_scipy(case, is_quick=is_quick))).related()
        yield result


def _peers(part: str, case: BenchmarkCase) -> Mapping[str, Way]:
    """Peers that take all of a case's inputs."""
    if part == "contrast":
        return {MODULES[part][0]: _metric_learning(*case.inputs)}
    if part == "codebook" and case.inputs[0].requires_grad:
        return {MODULES[part][0]: _vector_quantize(case)}
    return {}


def _vector_quantize(case: BenchmarkCase) -> Way:
    from vector_quantize_pytorch import VectorQuantize

    tokens_Md, codebook_Kd = case.inputs
    module = VectorQuantize(
        dim=tokens_Md.shape[1],
        codebook_size=len(codebook_Kd),
        decay=DECAY,
        commitment_weight=COMMITMENT,
        rotation_trick=False,
    ).to(tokens_Md.device)

    def step(tokens_Md: Tensor, _first_codebook: Tensor) -> tuple[Tensor, Tensor]:
        quantized, _codes, commitment = module(tokens_Md[None])
        return quantized, commitment

    return step


def _metric_learning(z_context: Tensor, _: Tensor, negatives: Tensor) -> Way:
    """It learns no temperature."""
    from pytorch_metric_learning.losses import NTXentLoss

    loss, labels = NTXentLoss(temperature=TEMPERATURE), torch.arange(len(z_context), device=z_context.device)
    candidate_labels = torch.arange(len(z_context) + len(negatives), device=z_context.device)

    def contrast(z_context: Tensor, z_target: Tensor, negatives: Tensor) -> Tensor:
        value: Tensor = loss(z_context, labels, ref_emb=torch.cat([z_target, negatives]), ref_labels=candidate_labels)
        return value

    return contrast


def _of_scipy(case: BenchmarkCase, *, is_quick: bool) -> Row:
    """Its time for all grids, from a few of them, on which ours finds the same."""
    few = case.inputs[0][:FEW_GRIDS]
    grids = few.cpu().numpy()
    found = case.ours(*(given[: len(few)] for given in case.inputs))[0].cpu().double()
    torch.testing.assert_close(found, torch.from_numpy(features_by_scipy(grids, NUM_OBJECTS)), rtol=1e-5, atol=1e-6)
    cpu = torch.device("cpu")
    each = timed(lambda: features_by_scipy(grids, NUM_OBJECTS), cpu, Timing.of(cpu, is_quick=is_quick)).ms / len(few)
    note = f"timed on {len(few)} grids"
    return Row(way=MODULES["tokeniser"][0], ms=each * case.items, per_second=MS / each, note=note)


def _is_installed(part: str) -> bool:
    return importlib.util.find_spec(MODULES[part][1]) is not None


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for part, (name, _) in MODULES.items() if _is_installed(part)}


if __name__ == "__main__":
    main()
