"""The audit at a run's start: it is told and recorded, it may fail, and the run that follows never notices it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import attrs
import pytest
import torch

from jepa_core.audit.opening_audit import opening_audit, undisturbed
from jepa_core.audit.replacements import AverageConfig
from jepa_core.contracts import SequenceDataset, Space
from jepa_core.engine.checkpoint import CheckpointFolder, load_checkpoint, same_tree
from jepa_core.engine.device import Compute
from jepa_core.engine.interruption import StoppedBeforeTraining
from jepa_core.errors import DataError
from jepa_core.metrics import Metric
from jepa_core.recipes.reading import LoadedRecipe
from jepa_core.recipes.tables import Recipe
from jepa_core.run_directory.reading import RunReader
from jepa_core.watch.nulls import RankedNulls
from jepa_plugins.grids.space import GridSpace
from tests.audit.recipes import COMPUTE, data_of, repeated
from tests.engine.test_session import Sessions
from tests.engine.training import RecipeMaker, lasting


@pytest.fixture
def sessions(tiny_recipe_file: Path) -> Sessions:
    return Sessions(tiny_recipe_file)


def audit_events(run: Path) -> list[tuple[str, str]]:
    return [(event.name, event.severity) for event in RunReader(run).events() if event.name.startswith("audit ")]


@attrs.frozen(kw_only=True)
class RepeatedData:
    """Sequences whose context grids are copies."""

    kind: ClassVar[str] = "repeated"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    space: ClassVar[type[Space]] = GridSpace
    recipe: Recipe

    def build(self, facts: Any) -> SequenceDataset:
        return repeated(data_of(self.recipe))


def on_copies(loaded: LoadedRecipe) -> LoadedRecipe:
    """On data on which an aggregator cannot matter."""
    recipe = attrs.evolve(loaded.recipe, data=RepeatedData(recipe=loaded.recipe))
    return attrs.evolve(loaded, recipe=recipe)


class _Odd:
    """What an aggregator's configuration does when the audit builds it, and not when the run does."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error

    def build(self, facts: Any) -> Any:
        if self.error is not None:
            raise self.error
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError("the signal should have ended this")


@pytest.mark.parametrize("deterministic", ["true", "false"])
def test_a_run_with_the_audit_equals_one_without_to_the_last_bit(sessions: Sessions, deterministic: str) -> None:
    flag = f"train.deterministic={deterministic}"
    runs = [sessions.start("encoder.dropout=0.1", flag, audit=audit).path for audit in (False, True)]
    assert [audit_events(run) != [] for run in runs] == [False, True]
    rows = [[lasting(row) for row in RunReader(run).rows()] for run in runs]
    assert rows[0] == rows[1]
    states = [load_checkpoint(CheckpointFolder(run / "checkpoints", keep=2).all()[-1]) for run in runs]
    assert same_tree(*states)


def test_what_it_found_is_in_the_opening_the_events_and_the_verdict(sessions: Sessions) -> None:
    conclusion = sessions.start(change=on_copies, audit=True)
    assert sessions.screen is not None
    assert sessions.screen.opening.audit[0].name == "aggregator without effect"
    assert audit_events(conclusion.path)[0] == ("audit aggregator without effect", "critical")
    (event,) = (e for e in RunReader(conclusion.path).events() if e.name == "audit aggregator without effect")
    assert event.step == 0
    assert event.evidence["set"]
    assert event.advice
    verdict = RunReader(conclusion.path).verdict()
    assert verdict == conclusion.verdict
    assert verdict is not None
    finding = verdict.findings[0]
    assert (finding.name, finding.severity, finding.step) == ("audit aggregator without effect", "critical", 0)
    assert finding.set == event.evidence["set"]
    assert all(finding.severity != "info" for finding in verdict.findings)


def test_a_resumed_run_is_not_audited_again_and_its_verdict_still_has_what_was_found(sessions: Sessions) -> None:
    def stop(step: int) -> None:
        if step == 1:
            signal.raise_signal(signal.SIGTERM)

    run = sessions.start(change=on_copies, audit=True, interfere=stop).path
    told = audit_events(run)
    resumed = sessions.resume(run, change=on_copies, audit=True)
    assert audit_events(run) == told
    assert resumed.verdict is not None
    assert ("audit aggregator without effect", "critical") in [(f.name, f.severity) for f in resumed.verdict.findings]
    assert resumed.verdict.findings[0].set


def test_a_signal_during_the_audit_ends_the_program_and_leaves_nothing(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AverageConfig, "build", _Odd(None).build)
    with pytest.raises(StoppedBeforeTraining) as stopped:
        sessions.start(audit=True)
    assert stopped.value.code == 143
    assert sessions.left() == []


def test_an_audit_that_fails_is_a_warning_and_the_run_goes_on(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AverageConfig, "build", _Odd(ZeroDivisionError("a bug")).build)
    conclusion = sessions.start(audit=True)
    assert conclusion.ending.kind == "finished"
    assert audit_events(conclusion.path) == [("audit failed", "warning")]
    assert conclusion.verdict is not None
    (finding,) = conclusion.verdict.findings
    assert "ZeroDivisionError: a bug" in finding.message
    assert "in build" in finding.evidence["traceback"]
    assert "--no-audit" in finding.advice


def test_what_is_wrong_with_recipe_or_data_is_raised(tiny_recipe: RecipeMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AverageConfig, "build", _Odd(DataError("no such grids")).build)
    recipe = tiny_recipe()
    with pytest.raises(DataError, match="no such grids"):
        opening_audit(recipe, data_of(recipe), COMPUTE, RankedNulls())


def test_generators_and_switches_are_afterwards_what_they_were() -> None:
    torch.manual_seed(3)
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True
    before = torch.get_rng_state()
    with pytest.raises(ValueError, match="within"), undisturbed(torch.device("cpu")):
        _disturb()
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_float32_matmul_precision() == "high"
    assert torch.backends.cudnn.benchmark
    assert not torch.are_deterministic_algorithms_enabled()


def _disturb() -> None:
    torch.manual_seed(4)
    torch.rand(3)
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.benchmark = False
    torch.use_deterministic_algorithms(True)
    raise ValueError("within")


@pytest.mark.cuda
def test_on_a_gpu_its_generator_and_memory_statistics_are_what_they_were(tiny_recipe: RecipeMaker) -> None:
    device = torch.device("cuda")
    torch.cuda.manual_seed(3)
    before, recipe = torch.cuda.get_rng_state(), tiny_recipe()
    # cuBLAS keeps the workspaces of its first products.
    opening_audit(recipe, data_of(recipe), Compute(device, "bf16"), RankedNulls())
    torch.cuda.reset_peak_memory_stats()
    peak = torch.cuda.max_memory_allocated()
    assert opening_audit(recipe, data_of(recipe), Compute(device, "bf16"), RankedNulls())
    assert torch.equal(torch.cuda.get_rng_state(), before)
    assert torch.cuda.max_memory_allocated() <= peak + 2**20


def test_a_run_without_it_does_not_load_it() -> None:
    code = "import sys, jepa_core.engine.session; print([m for m in sys.modules if m.startswith('jepa_core.audit')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "[]"
