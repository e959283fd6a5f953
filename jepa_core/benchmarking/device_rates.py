"""What a device reaches in a large matrix product and a large copy, measured: what floors come from."""

from __future__ import annotations

import platform

import torch

from jepa_core import __version__
from jepa_core.benchmarking.results import MS, Rates
from jepa_core.benchmarking.timing import Timing, timed
from jepa_core.engine.device import device_name, processor_model


def measured_rates(device: torch.device, *, is_quick: bool) -> Rates:
    """Both, in a second or less. On a CPU, which computes in fp32, the product is in that."""
    on_cuda = device.type == "cuda"
    timing = Timing.of(device, is_quick=is_quick)
    side = 8_192 if on_cuda else 512 if is_quick else 2_048
    left, right = (
        torch.randn(side, side, device=device, dtype=torch.bfloat16 if on_cuda else torch.float32) for _ in range(2)
    )
    product_ms = timed(lambda: left @ right, device, timing).ms
    num_bytes = 2**30 if on_cuda else 2**22 if is_quick else 2**26
    source = torch.zeros(num_bytes, dtype=torch.uint8, device=device)
    target = torch.ones_like(source)
    copy_ms = timed(lambda: target.copy_(source), device, timing).ms
    return Rates(
        flop_per_s=2 * side**3 / product_ms * MS,
        number_format="bf16" if on_cuda else "fp32",
        bytes_per_s=2 * num_bytes / copy_ms * MS,
    )


def machine(device: torch.device) -> dict[str, str]:
    """The hardware and the versions that figures depend on, by name."""
    name = device_name(device)
    if device.type == "cpu":
        name = f"{name} ({processor_model()})"
    found = {"device": name, "torch": torch.__version__, "Python": platform.python_version(), "jepa-core": __version__}
    try:
        import triton
    except ImportError:
        return found
    return found | {"Triton": str(triton.__version__)}
