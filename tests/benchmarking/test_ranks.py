"""What ranks communicate in a step: the benchmark's formulas against what torch is handed."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from jepa_core.contracts import Crew
from jepa_core.engine.agreement import Word, agreed
from jepa_core.recipes.tables import Recipe
from tests.engine.training import RecipeMaker, a_trainer
from tests.forked import forked_script
from tests.ranks import in_ranks

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def collectives() -> ModuleType:
    """benchmarks/collectives.py, which no package holds."""
    spec = importlib.util.spec_from_file_location("collectives", BENCHMARKS / "collectives.py")
    assert spec
    assert spec.loader
    module = sys.modules["collectives"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def a_counted_step(collectives: ModuleType, recipe: Recipe, crew: Crew) -> Any:
    """Kind → bytes by formula, and counted in the second step, with number of calls but those of gradients."""
    trainer = a_trainer(recipe, Path(tempfile.mkdtemp()), crew=crew)
    trainer.initialise()
    for step in range(2):
        with collectives.Counted() as counted:
            trainer.step(step, lambda _: agreed(crew, Word()).stop_signal is None)
            agreed(crew, Word())
    sizes = collectives.Sizes.of(trainer, crew.size, recipe.train.batch_size // crew.size)
    return [
        (collectives.by_kind(sent), sum(each.calls for each in sent if each.kind != "gradients"))
        for sent in (collectives.by_formula(recipe, sizes), counted.sent)
    ]


@pytest.mark.parametrize(
    "overrides",
    [
        ["losses.info_nce.queue=24"],
        ["losses.info_nce.symmetric=true", "losses.vicreg.weight=0.1", "train.accumulate=2"],
        ["quantizer.revive_at_most=0", "losses.relational.weight=0.1", "losses.sigreg.weight=0.1"],
        ["augmentation.colours.enabled=true", "losses.view_contrast.weight=0.1", "losses.invariance.weight=0.1"],
    ],
    ids=["queue", "both ways, accumulated", "nothing revived", "views"],
)
def test_formulas_give_the_bytes_and_calls_that_torch_is_handed(
    collectives: ModuleType, tiny_recipe: RecipeMaker, overrides: list[str]
) -> None:
    recipe = tiny_recipe(*overrides)
    for formula, counted in in_ranks(2, lambda crew: a_counted_step(collectives, recipe, crew)):
        assert formula == counted
        assert formula[0]["gradients"] > 0


def test_a_ring_sends_a_sum_twice_and_a_gather_to_everyone(collectives: ModuleType) -> None:
    summed = collectives.Sent("", "gradients", "sum", 100)
    gathered = collectives.Sent("", "rows of losses", "gather", 100)
    assert collectives.on_a_ring([summed], 4) == 150
    assert collectives.on_a_ring([gathered], 4) == 300
    assert collectives.on_a_ring([summed, gathered], 1) == 0


def command(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(BENCHMARKS / name), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"},
    )


def test_the_bytes_of_the_reference_step_are_those_that_the_page_names() -> None:
    done = forked_script(BENCHMARKS / "ranks.py", "--ranks", 8, "--formula", "--set", "data.num_sequences=200")
    assert done.returncode == 0, done.stderr
    assert "8 ranks of 4,096 sequences each · 3,955,853 parameters" in done.stdout
    page = (BENCHMARKS.parent / "docs" / "scaling.md").read_text()
    rows = [
        line.split(" | ") for line in done.stdout.splitlines() if line.startswith(("| weights |", "| losses.", "| q"))
    ]
    named = [row[3] for row in rows if int(row[3].replace(",", "")) >= 1000]
    assert len(named) == 9
    assert not [num_bytes for num_bytes in named if num_bytes not in page]


@pytest.mark.slow
def test_the_command_compares_two_ranks_with_one_process(tmp_path: Path) -> None:
    path = tmp_path / "ranks.json"
    done = command("ranks.py", "--ranks", 2, "--tiny", "--device", "cpu", "--json", path)
    assert done.returncode == 0, done.stderr
    assert "find_unused_parameters" not in done.stderr  # torch's remark, once for each rank
    assert done.stdout.count("Formula and count agree.") == 2
    cases = json.loads(path.read_text())["cases"]
    assert [(case["ranks"], case["batch"]) for case in cases] == [(1, 8), (2, 16), (2, 8)]
    assert all(case["ms"] > 0 and case["augmentation_ms"] > 0 for case in cases)
    assert [case["calls"] > 0 for case in cases] == [False, True, True]
