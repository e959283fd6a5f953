"""Devices and number formats: what is asked for, what is there, and the switches of the process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from jepa_core.engine.device import Compute, choose_compute, device_name, processor_model, set_numerics, warming_up
from jepa_core.errors import DeviceError

CPU = torch.device("cpu")
HAS_CUDA = torch.cuda.is_available()
without_cuda = pytest.mark.skipif(HAS_CUDA, reason="needs a machine without CUDA")


@without_cuda
def test_auto_is_the_cpu_in_fp32_where_there_is_no_cuda() -> None:
    assert choose_compute("auto", "auto") == Compute(CPU, "fp32")


@pytest.mark.cuda
def test_auto_is_cuda_in_bf16_where_there_is_cuda() -> None:
    assert choose_compute("auto", "auto") == Compute(torch.device("cuda"), "bf16")


@without_cuda
@pytest.mark.parametrize("device", [CPU, torch.device("cuda")])
def test_warming_up_leaves_what_fails_to_where_it_is_needed(device: torch.device) -> None:
    with warming_up(device):
        pass


@pytest.mark.cuda
def test_warming_up_ends_with_a_context_on_the_device() -> None:
    script = (
        "import torch; from jepa_core.engine.device import warming_up\n"
        "with warming_up(torch.device('cuda')): pass\n"
        "assert torch.cuda.is_initialized() and torch.cuda.memory_reserved()"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_what_is_asked_for_is_taken() -> None:
    assert choose_compute("cpu", "bf16") == Compute(CPU, "bf16")


@pytest.mark.parametrize("name", ["tpu", "", "gpu", "cuda:x", "cuda:-1", "cpu,cuda", "meta", "mps"])
def test_what_is_no_device_is_refused_with_what_may_be_said(name: str) -> None:
    with pytest.raises(DeviceError, match="Use auto, cpu, cuda or cuda:N"):
        choose_compute(name, "auto")


@without_cuda
def test_cuda_that_is_not_there_is_refused_with_a_way_out() -> None:
    with pytest.raises(DeviceError, match=r"no CUDA device here.*--device cpu"):
        choose_compute("cuda", "auto")


@pytest.mark.cuda
def test_a_cuda_device_beyond_the_last_is_refused_with_their_number() -> None:
    with pytest.raises(DeviceError, match="only"):
        choose_compute("cuda:99", "auto")


def test_fp16_is_for_cuda() -> None:
    with pytest.raises(DeviceError, match="'bf16' or 'fp32'"):
        choose_compute("cpu", "fp16")


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_forward_passes_compute_in_the_precision(precision: str, dtype: torch.dtype) -> None:
    with Compute(CPU, precision).autocast():  # type: ignore[arg-type]  # parametrized text
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype


def test_a_computer_is_described_in_words() -> None:
    assert device_name(CPU).endswith(("CPU core", "CPU cores"))
    assert Compute(CPU, "bf16").describe() == f"{device_name(CPU)}, bf16"
    assert processor_model() == processor_model().strip()


def test_deterministic_mode_forbids_what_varies_and_tf32(monkeypatch: pytest.MonkeyPatch) -> None:
    # set_numerics writes the variable itself: have it put back.
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    set_numerics(deterministic=True, tf32=True)
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.backends.cudnn.benchmark
    assert torch.get_float32_matmul_precision() == "highest"
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


@pytest.mark.parametrize(("tf32", "precision"), [(True, "high"), (False, "highest")])
def test_tf32_is_as_the_recipe_says(tf32: bool, precision: str) -> None:
    set_numerics(deterministic=False, tf32=tf32)
    assert torch.get_float32_matmul_precision() == precision
    assert not torch.are_deterministic_algorithms_enabled()


def test_torchs_compiler_is_not_loaded_where_nothing_asks_for_it() -> None:
    script = """
import sys
from jepa_core.engine.device import set_deterministic, set_numerics
set_numerics(deterministic=False, tf32=True)
assert "torch._inductor" not in sys.modules
set_deterministic(True, warn_only=True)
import torch
assert torch.is_deterministic_algorithms_warn_only_enabled()
set_deterministic(True)
assert torch.are_deterministic_algorithms_enabled() and not torch.is_deterministic_algorithms_warn_only_enabled()
set_deterministic(False)
assert not torch.are_deterministic_algorithms_enabled()
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)
