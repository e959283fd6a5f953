"""How long a run will take, told from steps on few sequences that leave nothing behind."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from jepa_core.audit import run_cost
from jepa_core.audit.opening_audit import undisturbed
from jepa_core.audit.run_cost import run_seconds
from jepa_core.engine.dataset import built_dataset
from jepa_core.engine.device import Compute
from jepa_core.recipes.tables import Recipe

RecipeMaker = Callable[..., Recipe]
CPU = Compute(torch.device("cpu"), "fp32")


@pytest.mark.parametrize(
    ("of_few", "of_more", "expected"),
    [
        (0.05, 0.11, 0.05 + 0.06 / 24 * 56),  # 8 and 32 sequences, of 64
        (0.05, 0.04, 0.05),
        (2.0, 0.0, 16.0),  # more are not tried
    ],
)
def test_what_grows_with_the_batch_is_told_from_what_does_not(
    tiny_recipe: RecipeMaker, monkeypatch: pytest.MonkeyPatch, of_few: float, of_more: float, expected: float
) -> None:
    recipe = tiny_recipe("train.batch_size=64", "train.epochs=8", "train.accumulate=2", "data.num_sequences=240")
    dataset = built_dataset(recipe)
    steps = 8 * (len(dataset.train) // 64) // 2
    monkeypatch.setattr(run_cost, "_seconds", lambda _r, _d, _c, size: {8: of_few, 32: of_more}[size])
    assert run_seconds(recipe, dataset, CPU) == pytest.approx(expected * 2 * steps)


def test_steps_are_timed_and_leave_nothing_behind(tiny_recipe: RecipeMaker) -> None:
    recipe = tiny_recipe()
    before = torch.get_rng_state()
    with undisturbed(CPU.device):
        seconds = run_seconds(recipe, built_dataset(recipe), CPU)
    assert seconds is not None
    assert 0 < seconds < 60
    assert torch.equal(torch.get_rng_state(), before)
