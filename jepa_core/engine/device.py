"""Which device and number format a run uses. Knows recipes' names for them; knows nothing of models."""

from __future__ import annotations

import os
import platform
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path

import attrs
import torch

from jepa_core.errors import DeviceError
from jepa_core.recipes.tables import Precision


@attrs.frozen
class Compute:
    """A device and the number format of its forward passes; weights and optimizer state stay in fp32."""

    device: torch.device
    precision: Precision
    """fp32, bf16 or fp16; never "auto"."""

    def autocast(self) -> AbstractContextManager[object]:
        """The context of forward passes."""
        if self.precision == "fp32":
            return nullcontext()
        dtype = torch.bfloat16 if self.precision == "bf16" else torch.float16
        return torch.autocast(self.device.type, dtype=dtype)

    def describe(self, num_ranks: int = 1) -> str:
        """Such as "NVIDIA H200, bf16", "2 CPU cores, fp32" or "4 × NVIDIA H200, bf16", a rank each."""
        each = device_name(self.device) if num_ranks == 1 else f"{num_ranks} × {device_name(self.device)}"
        return f"{each}, {self.precision}"


def choose_compute(device: str, precision: Precision) -> Compute:
    """Resolve `auto` for both.

    Raises:
        DeviceError: the device is not there, or cannot compute in that precision.
    """
    chosen = _chosen_device(device)
    if precision == "auto":
        precision = "bf16" if chosen.type == "cuda" else "fp32"
    if precision == "fp16" and chosen.type != "cuda":
        raise DeviceError(
            "train.precision = 'fp16' needs a CUDA device, and this run is on the CPU. Use 'bf16' or 'fp32' here."
        )
    return Compute(chosen, precision)


def _chosen_device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"--device {name!r} is no device name. Use auto, cpu, cuda or cuda:N.") from error
    if device.type not in {"cpu", "cuda"}:
        raise DeviceError(f"--device {name!r} is not supported. Use auto, cpu, cuda or cuda:N.")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise DeviceError("--device cuda: torch sees no CUDA device here. Use --device cpu, or a CUDA build of torch.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DeviceError(f"--device {name}: only {torch.cuda.device_count()} CUDA devices are here, counted from 0.")
    return device


def set_numerics(*, deterministic: bool, tf32: bool) -> None:
    """Process-wide switches: deterministic kernels, and TF32 for matrix products that stay in fp32."""
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    set_deterministic(deterministic)
    torch.backends.cudnn.benchmark = not deterministic
    torch.set_float32_matmul_precision("high" if tf32 and not deterministic else "highest")


def set_deterministic(is_deterministic: bool, *, warn_only: bool = False) -> None:
    """torch.use_deterministic_algorithms, which loads torch's compiler (seconds), where something changes by it."""
    now = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    if now != (is_deterministic, warn_only):
        torch.use_deterministic_algorithms(is_deterministic, warn_only=warn_only)


@contextmanager
def numerics_kept() -> Iterator[None]:
    """Afterwards the switches that `set_numerics` sets are what they were."""
    precision, benchmark = torch.get_float32_matmul_precision(), torch.backends.cudnn.benchmark
    is_deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(precision)
        torch.backends.cudnn.benchmark = benchmark
        set_deterministic(is_deterministic, warn_only=warn_only)


@contextmanager
def warming_up(device: torch.device) -> Iterator[None]:
    """Within it a thread does what first kernels on CUDA wait for, about 1 s in all: the device's context, libraries of
    matrix products and eigenvalues, and Triton's key to its cache, for which it reads itself. Python is held up for
    little of it."""
    thread = threading.Thread(target=_warm_up, args=(device,), name="warm-up", daemon=True)
    if device.type == "cuda":
        thread.start()
    try:
        yield
    finally:
        if thread.ident is not None:
            thread.join()


def _warm_up(device: torch.device) -> None:
    # What fails here fails again where it is needed, and is reported there.
    with suppress(Exception):
        square = torch.eye(16, dtype=torch.float64, device=device)
        torch.linalg.eigvalsh(square @ square)
        from triton.runtime.cache import triton_key

        triton_key()


def device_name(device: torch.device) -> str:
    """The name a person knows the device by."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    threads = torch.get_num_threads()
    return f"{threads} CPU core{'s' if threads > 1 else ''}"


def processor_model() -> str:
    """The CPU's model name, for the environment record."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
