"""What the check on ranks lets pass, how it ends where it cannot go on, and that nothing of it is left."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import tempfile
from pathlib import Path
from typing import Any, ClassVar

import attrs
import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from jepa_core.conformance import CheckResult, checks_of, run_check, two_ranks
from jepa_core.contracts import Forward, LossTerm, Quantized
from jepa_core.registry import Component
from tests.conformance.broken_components import Codebook
from tests.conformance.broken_on_ranks import GaussianPerRank, MeetsAlone


def component_of(module_class: type[nn.Module], family: str = "loss") -> Component:
    @attrs.frozen(kw_only=True)
    class Config:
        """What is tried."""

        kind: ClassVar[str] = "tried"
        metrics: ClassVar[tuple[Any, ...]] = ()

        def build(self, facts: Any) -> Any:
            return module_class()

    return Component(family=family, name="tried", config_class=Config, distribution="tried", version="0")


def result_of(module_class: type[nn.Module], family: str = "loss", name: str = "ranks") -> CheckResult:
    (check,) = (check for check in checks_of(family) if check.name == name)
    return run_check(check, component_of(module_class, family))


class DropsOut(nn.Module):
    """Noise of every token by itself, in as many ways as there are to draw it."""

    def forward(self, forward: Forward) -> LossTerm:
        values = F.dropout(forward.context_embeddings.values.float(), 0.5)
        values = values + torch.randn_like(values) + torch.rand(values.shape[0], 1, 1, 1)
        kept = torch.bernoulli(values.detach().sigmoid())
        values = values * kept * torch.empty_like(values).exponential_()
        z = forward.z_context.float() + torch.normal(forward.z_target.float(), 1.0)
        return LossTerm(value=values.square().mean() + z.square().mean())


class DrawsCodes(Codebook):
    """Every token draws its sign."""

    def forward(self, values: Tensor, mask: Tensor, *, collect: bool) -> Quantized:
        quantized = super().forward(values, mask, collect=collect)
        sign = 2.0 * torch.randint(2, (*mask.shape, 1)) - 1
        return dataclasses.replace(quantized, values=quantized.values * sign)


class AsksTorch(nn.Module):
    """Takes the mean target of all ranks, without the crew."""

    def forward(self, forward: Forward) -> LossTerm:
        mean = forward.z_target.float().mean(0)
        if dist.is_initialized():
            dist.all_reduce(mean)
            mean = mean / dist.get_world_size()
        return LossTerm(value=(forward.z_context.float() - mean).square().mean())


@pytest.mark.parametrize(
    ("module_class", "family"), [(DropsOut, "loss"), (DrawsCodes, "quantizer"), (AsksTorch, "loss")]
)
def test_what_is_drawn_or_computed_sequence_by_sequence_may_be_left_to_each_rank(
    module_class: type[nn.Module], family: str
) -> None:
    result = result_of(module_class, family)
    assert result.outcome == "passed", result.text()


class Dies(nn.Module):
    def forward(self, forward: Forward) -> LossTerm:
        if forward.crew.rank:
            os._exit(3)
        return LossTerm(value=forward.crew.gathered(forward.z_context.float()).square().mean())


class GathersUnequal(nn.Module):
    def forward(self, forward: Forward) -> LossTerm:
        z = forward.z_context.float()[forward.crew.rank :]
        return LossTerm(value=forward.crew.gathered(z).square().mean())


def open_files() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


@pytest.mark.parametrize(
    ("module_class", "message"),
    [
        (Dies, "rank 1 of 2 ended with code 3"),
        (GathersUnequal, "at a meeting with tensors of other shapes. Every rank has to call"),
        (MeetsAlone, "two ranks waited for each other"),
        (GaussianPerRank, "value is"),
        (DropsOut, ""),
    ],
)
def test_nothing_is_left_of_the_ranks(
    module_class: type[nn.Module], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(two_ranks, "PATIENCE", 1.0)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    opened = open_files()
    result = result_of(module_class)
    assert message in result.message, result.text()
    assert multiprocessing.active_children() == []
    assert list(tmp_path.iterdir()) == []
    assert open_files() == opened
    assert not dist.is_initialized()


def test_ranks_work_where_torch_has_threads() -> None:
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(4)
        large = torch.randn(400, 400, requires_grad=True)
        (large @ large).sum().backward()
        assert result_of(AsksTorch).outcome == "passed"
    finally:
        torch.set_num_threads(threads)


def test_what_a_component_prints_does_not_come_from_the_ranks(capfd: pytest.CaptureFixture[str]) -> None:
    result_of(AsksTorch)
    assert capfd.readouterr() == ("", "")


def test_without_fork_the_check_says_why_it_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multiprocessing, "get_all_start_methods", lambda: ["spawn"])
    result = result_of(GaussianPerRank)
    assert result.outcome == "not applicable"
    assert "forked processes, which this system does not have" in result.message


class OverTheBatch(nn.BatchNorm1d):
    def __init__(self) -> None:
        super().__init__(16)


class OverTheBatchAlways(nn.BatchNorm1d):
    def __init__(self) -> None:
        super().__init__(16, track_running_stats=False)


@pytest.mark.parametrize(("module_class", "name"), [(OverTheBatch, "pure-forward"), (OverTheBatchAlways, "rows")])
def test_other_families_may_not_look_over_the_batch_at_all(module_class: type[nn.Module], name: str) -> None:
    assert result_of(module_class, "predictor", name).failed
