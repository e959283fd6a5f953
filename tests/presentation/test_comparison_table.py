from __future__ import annotations

import io

from rich.console import Console

from jepa_core.comparison.comparing import compare_runs
from jepa_core.presentation.comparison_table import comparison_table
from tests.comparison.recorded import recorded

MRR = "val.retrieval.mrr"


def shown(num_seeds: int) -> str:
    """The table of two recipes, the second better under every seed."""
    runs = [
        recorded(f"{name}{seed}", {MRR: {1: 0.1 * seed + gain}}, seed=seed, aggregator={"kind": name})
        for name, gain in (("mean", 0.0), ("attention", 0.01))
        for seed in range(num_seeds)
    ]
    console = Console(file=io.StringIO(), width=200)
    console.print(comparison_table(compare_runs(runs)))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_where_seeds_are_too_few_the_command_that_trains_more_is_named() -> None:
    assert "more seeds: jepa ablate RECIPE --vary KEY=VALUE,VALUE --seeds 6" in shown(2)
    assert "more seeds" not in shown(6)
