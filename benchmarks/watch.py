"""What the watch costs: the judge's time per metrics row beside the time of the run that wrote the row.

    python benchmarks/watch.py                     # trains quickstart for a short while to have real rows
    python benchmarks/watch.py --rows FILE.jsonl   # also on recorded rows, judged by seed_pairs

Three figures: `RunRecord.row` live in the short run (writing, judging and telling), the judge alone over the rows that
this run wrote, and the same over many copies of them, as a long run has. The peer is Python's own `eval` of the same
rules, compiled beforehand, over a dictionary of the newest values, without windows, history, evidence or unknowns: what
the least interpreter of such rules costs, a lower bound.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import datetime
import io
import platform
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import CodeType
from typing import Any

import attrs
import orjson
import torch

from jepa_core.engine.device import processor_model
from jepa_core.engine.opening import Opening
from jepa_core.engine.recording import RunRecord
from jepa_core.engine.session import train_recipe
from jepa_core.presentation.terminal import console_for
from jepa_core.presentation.training_screen import TrainingScreen
from jepa_core.recipes.declared_metrics import declared_metrics
from jepa_core.recipes.reading import LoadedRecipe, load_recipe, with_scenarios
from jepa_core.recipes.recipe_path import find_recipe
from jepa_core.registry import installed
from jepa_core.run_directory.reading import RunReader
from jepa_core.watch.judge import Judge

COPIES = 20
"""How often the rows of the short run are judged one after another, with steps and epochs that go on."""

SHORT = ("train.epochs=1",)
Row = Mapping[str, Any]


@attrs.frozen(kw_only=True)
class Cost:
    """Of one recipe's rules over some rows."""

    recipe: str
    rules: int
    rows: int
    judge: float
    """Seconds a row."""
    peer: float
    """Seconds a row, of Python's `eval`."""
    run: float
    """Seconds that the run took for a row; nan when the rows do not say."""


def expanded(recipe: str, *overrides: str) -> LoadedRecipe:
    """A recipe with the rules of the installed scenarios."""
    registry = installed()
    return with_scenarios(load_recipe(find_recipe(recipe), overrides=overrides, registry=registry), registry)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=Path, help="a recorded metrics file, judged by seed_pairs")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows, seconds, live = short_run(Path(folder))
    costs = [measured(recipe, lengthened(rows), seconds / len(rows)) for recipe in ("quickstart", "optimized")]
    if chosen.rows:
        recorded = [orjson.loads(line) for line in chosen.rows.read_bytes().splitlines()]
        costs.append(measured("seed_pairs", recorded, float("nan")))
    show(costs, live, seconds, len(rows))


def short_run(runs_dir: Path) -> tuple[list[Row], float, float]:
    """Rows of a short quickstart run, its seconds of training, and those spent in `RunRecord.row`."""
    spent: list[float] = []
    begun: list[float] = []
    write = RunRecord.row

    def timed(record: RunRecord, row: Mapping[str, float]) -> None:
        started = time.perf_counter()
        write(record, row)
        spent.append(time.perf_counter() - started)

    def open_screen(opening: Opening) -> TrainingScreen:
        begun.append(time.perf_counter())
        return TrainingScreen(
            console_for(io.StringIO()),
            opening.console_log,
            epochs=opening.loaded.recipe.train.epochs,
            total_steps=opening.total_steps,
        )

    with replaced(RunRecord, "row", timed):
        conclusion = train_recipe(
            expanded("quickstart", *SHORT), device="cpu", runs_dir=runs_dir, resume=None, open_screen=open_screen
        )
    seconds = time.perf_counter() - begun[0]
    return list(RunReader(conclusion.path).rows()), seconds, sum(spent)


@contextlib.contextmanager
def replaced(owner: type, name: str, by: Callable[..., Any]) -> Iterator[None]:
    """Another method for a while."""
    original = getattr(owner, name)
    setattr(owner, name, by)
    try:
        yield
    finally:
        setattr(owner, name, original)


def lengthened(rows: list[Row]) -> list[Row]:
    """The rows over and over, with steps and epochs that go on."""
    last = rows[-1]
    return [
        {**row, "step": row["step"] + copy * last["step"], "epoch": row["epoch"] + copy * last["epoch"]}
        for copy in range(COPIES)
        for row in rows
    ]


def measured(recipe: str, rows: list[Row], run: float) -> Cost:
    """Judge and peer over the rows, the faster of three passes each."""
    table = expanded(recipe).recipe
    texts = [rule.when for rule in (*table.watch.must, *table.watch.nice, *table.watch.alarms)]
    metrics = declared_metrics(table)

    def judge() -> None:
        fresh = Judge(table.watch, metrics, epochs=table.train.epochs)
        for row in rows:
            fresh.observe(row)

    rules = [code for code in map(compiled, texts) if code is not None]

    def peer() -> None:
        values: dict[str, Any] = {}
        for row in rows:
            values.update((name.replace(".", "_"), value) for name, value in row.items())
            for code in rules:
                with contextlib.suppress(NameError, ZeroDivisionError):
                    eval(code, _FUNCTIONS, values)

    return Cost(
        recipe=recipe,
        rules=len(texts),
        rows=len(rows),
        judge=fastest(judge) / len(rows),
        peer=fastest(peer) / len(rows),
        run=run,
    )


_FUNCTIONS: dict[str, Any] = {
    "__builtins__": {},
    "finite": lambda value: value - value == 0,
    "fired": lambda _: False,
    **{
        name: lambda value, *_: value
        for name in ("first", "last", "best", "min", "max", "mean", "slope", "median", "spread", "lowest", "highest")
    },
}


class _Flat(ast.NodeTransformer):
    """Dotted names as single ones."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        return ast.copy_location(ast.Name(ast.unparse(node).replace(".", "_"), ast.Load()), node)


def compiled(text: str) -> CodeType | None:
    """A rule as Python's own code."""
    tree = ast.fix_missing_locations(_Flat().visit(ast.parse(text, mode="eval")))
    return compile(tree, "rule", "eval")


def fastest(work: Callable[[], None]) -> float:
    """Seconds of the fastest of three."""

    def once() -> float:
        started = time.perf_counter()
        work()
        return time.perf_counter() - started

    return min(once() for _ in range(3))


def show(costs: Iterable[Cost], live: float, seconds: float, rows: int) -> None:
    """A table with what it was measured on."""
    print(
        f"{datetime.datetime.now(tz=datetime.UTC):%Y-%m-%d} · {processor_model()}, {torch.get_num_threads()} "
        f"threads · Python {platform.python_version()}, torch {torch.__version__}"
    )
    print(f"\n{'rules of':<12}{'rules':>7}{'rows':>7}{'judge':>14}{'eval alone':>14}{'run':>14}{'share':>9}")
    for cost in costs:
        known = cost.run == cost.run
        print(
            f"{cost.recipe:<12}{cost.rules:>7}{cost.rows:>7}"
            f"{cost.judge * 1e6:>9.0f} µs/row{cost.peer * 1e6:>7.0f} µs/row"
            + (f"{cost.run * 1e3:>8.0f} ms/row{cost.judge / cost.run:>9.3%}" if known else f"{'–':>14}{'–':>9}")
        )
    print(
        f"\nlive in a quickstart run of {seconds:.1f} s: {rows} rows, RunRecord.row {live / rows * 1e6:.0f} µs/row, "
        f"{live / seconds:.3%} of its time"
    )


if __name__ == "__main__":
    main()
