"""Seeds of torch's global generators."""

from __future__ import annotations

import traceback

import pytest
import torch

from jepa_core.engine.seeds import derived_seed, seed_generators


@pytest.mark.parametrize("seed", [0, 7, derived_seed(3, "step", 17)])
def test_what_is_drawn_is_what_torch_draws_after_the_same_seed(seed: int) -> None:
    torch.manual_seed(seed)
    torchs = torch.rand(5)
    seed_generators(seed)
    assert torch.equal(torch.rand(5), torchs)


@pytest.mark.skipif(torch.accelerator.is_available(), reason="torch keeps the seed for the device that there is")
def test_where_there_is_no_device_no_traceback_is_noted_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traceback, "format_stack", lambda *_: pytest.fail("noted"))
    seed_generators(0)


@pytest.mark.cuda
def test_on_a_gpu_what_is_drawn_is_what_torch_draws_after_the_same_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.cuda.init()
    torch.manual_seed(7)
    torchs = torch.rand(5, device="cuda"), torch.rand(5)
    monkeypatch.setattr(traceback, "format_stack", lambda *_: pytest.fail("noted"))
    seed_generators(7)
    assert torch.equal(torch.rand(5, device="cuda"), torchs[0])
    assert torch.equal(torch.rand(5), torchs[1])
