"""When compiling pays, and what becomes of a step that cannot be compiled."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from jepa_core.engine.compiling import COLD_S, MEASURED, SHORTER, WARM_S, Compiling, Prospect
from jepa_core.engine.device import Compute
from tests.engine.training import RecipeMaker, a_trainer, take_steps

CUDA = Compute(torch.device("cuda"), "bf16")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(folder))
    return folder


def clock_of(*times: float) -> Callable[[], float]:
    told: Iterator[float] = iter(times)
    return lambda: next(told)


def answers(compiling: Compiling, steps: range, run_steps: int = 10_000) -> dict[int, Prospect]:
    asked = {step: compiling.prospect(step, run_steps) for step in steps}
    return {step: prospect for step, prospect in asked.items() if prospect is not None}


@pytest.mark.parametrize(("run_steps", "pays"), [(10_000, True), (500, False)])
@pytest.mark.parametrize("begins_at", [0, 300])
def test_it_pays_where_the_steps_that_are_left_lose_more_without(
    tiny_recipe: RecipeMaker, run_steps: int, pays: bool, begins_at: int
) -> None:
    first, last = MEASURED
    seconds_a_step = 0.1
    clock = clock_of(50.0, 50.0 + seconds_a_step * (last - first))
    compiling = Compiling(tiny_recipe(), CUDA, clock=clock)

    found = answers(compiling, range(begins_at, begins_at + 200), begins_at + run_steps)

    assert list(found) == [begins_at + last]
    (prospect,) = found.values()
    assert prospect.takes == COLD_S
    assert prospect.saves == pytest.approx(SHORTER * seconds_a_step * (run_steps - last))
    assert prospect.pays == pays


def test_what_was_compiled_before_takes_less(tiny_recipe: RecipeMaker) -> None:
    recipe, other = tiny_recipe(), tiny_recipe("encoder.dim=32")
    Compiling(recipe, CUDA, clock=clock_of()).note_compiled()
    takes = [
        prospect.takes
        for each in (recipe, other)
        for prospect in answers(Compiling(each, CUDA, clock=clock_of(0.0, 1.0)), range(100)).values()
    ]
    assert takes == [WARM_S, COLD_S]


@pytest.mark.parametrize("setting", ["train.compile=true", "train.compile=false", "train.deterministic=true"])
def test_nothing_is_decided_where_the_recipe_decides(tiny_recipe: RecipeMaker, setting: str) -> None:
    assert not answers(Compiling(tiny_recipe(setting), CUDA, clock=clock_of()), range(100))


def test_on_the_cpu_steps_stay_as_they_are(tiny_recipe: RecipeMaker) -> None:
    on_cpu = Compute(torch.device("cpu"), "fp32")
    assert not answers(Compiling(tiny_recipe(), on_cpu, clock=clock_of()), range(100))


def test_a_step_that_cannot_be_compiled_is_taken_without_and_the_reason_is_told(
    tiny_recipe: RecipeMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: Any, **__: Any) -> None:
        raise RuntimeError("no C++ compiler was found\nmore about it")

    plain = take_steps(a_trainer(tiny_recipe("train.compile=false"), tmp_path), 3)
    monkeypatch.setattr(torch, "compile", lambda _: refuses)
    tried = take_steps(a_trainer(tiny_recipe("train.compile=true"), tmp_path), 3)

    assert tried.step.not_compiled == "RuntimeError: no C++ compiler was found more about it"
    for mine, theirs in zip(tried.parts.online.parameters(), plain.parts.online.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_a_fault_of_the_steps_own_is_not_taken_for_the_compilers(
    tiny_recipe: RecipeMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "compile", lambda forward: forward)
    trainer = a_trainer(tiny_recipe("train.compile=true"), tmp_path)
    monkeypatch.setattr(trainer.step.objective, "encode", None)
    with pytest.raises(TypeError):
        trainer.step(0)
    assert not trainer.step.not_compiled


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # torch's compiler uses what torch deprecates
def test_a_step_that_was_compiled_is_kept_and_one_of_another_number_format_is_another(cache: Path) -> None:
    program = """
import json, sys
import torch
from jepa_core.engine.compiling import keep_compiled
keep_compiled()
enabled = sys.argv[1] == "on"
def product(x):
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
        y = x @ x
    return y, (y.float() * 3).sum()
x = torch.ones(4, 4, requires_grad=True)
found, total = torch.compile(product)(x)
total.backward()
from torch._dynamo.utils import counters
print(json.dumps([str(found.dtype), counters["aot_autograd"]["autograd_cache_hit"]]))
"""

    def result(mode: str) -> list[Any]:
        found = subprocess.run([sys.executable, "-c", program, mode], capture_output=True, text=True, check=True)
        answer: list[Any] = json.loads(found.stdout.splitlines()[-1])
        return answer

    assert [result(mode) for mode in ("on", "off", "on", "off")] == [
        ["torch.bfloat16", 0], ["torch.float32", 0], ["torch.bfloat16", 1], ["torch.float32", 1],
    ]  # fmt: skip
    assert any(cache.iterdir())


def test_compiled_steps_are_kept_in_the_users_cache_where_the_next_process_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    program = """
from jepa_core.engine.compiling import cache_folder, keep_compiled
before = cache_folder()
keep_compiled()
from torch._inductor.runtime.cache_dir_utils import cache_dir
print(before, cache_folder(), cache_dir(), sep="\\n")
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines() == [str(tmp_path / "jepa-core" / "compiled")] * 3
