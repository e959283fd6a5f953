"""Every table on terminals of several widths and in a pipe, as it looks: after a wanted change run this file with
`--snapshot-update`, and look at the difference."""

from __future__ import annotations

import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from syrupy.assertion import SnapshotAssertion

from jepa_core.presentation.audit_table import AUDIT_INDENT, audit_lines
from jepa_core.presentation.autopsy_table import autopsy_table
from jepa_core.presentation.checkpoints_table import RunCheckpoints, checkpoints_table
from jepa_core.presentation.component_tables import component_view
from jepa_core.presentation.null_lines import NULLS_INDENT, null_lines
from jepa_core.presentation.recipe_view import recipe_view, recipes_list
from jepa_core.presentation.terminal import UNBOUNDED
from jepa_core.presentation.wrapping import Hanging
from jepa_core.recipes.layers import Layer
from jepa_core.recipes.reading import load_layers
from jepa_core.run_directory.kept_checkpoints import KeptCheckpoint
from jepa_core.watch.findings import Finding
from tests.presentation.consoles import printed
from tests.presentation.test_autopsy_table import AUTOPSY, COMMANDS, NOW
from tests.presentation.test_every_table import TABLES, Table, nulls
from tests.presentation.test_recipe_view import RULES
from tests.recipes.small_registry import small_registry
from tests.recipes.writing_recipes import MINIMAL


def autopsy(_text: str, _figure: float) -> RenderableType:
    return OfWidth(lambda width: autopsy_table(AUTOPSY, COMMANDS, width, now=NOW))


def checkpoints(text: str, _figure: float) -> RenderableType:
    """One of each kind: old, damaged, healthy, the best and the newest."""
    plain = KeptCheckpoint(
        step=0,
        epoch=0.0,
        saved=NOW,
        bytes=44_812_345,
        path="step-0",
        fault=None,
        resumes=False,
        best=False,
        best_so_far=False,
        healthy=None,
    )
    kept = (
        plain,
        attrs.evolve(plain, step=250, best_so_far=True, healthy=True, path="step-250"),
        attrs.evolve(plain, step=500, epoch=None, saved=None, fault=f"model.safetensors: {text}", path="step-500"),
        attrs.evolve(plain, step=1_000, epoch=1.25, healthy=True),
        attrs.evolve(plain, step=12_345, epoch=20.0, resumes=True, best=True, bytes=1_812_345_678),
    )
    shown = RunCheckpoints(
        run="optimized-20261129-175805", typed="optimized-20261129-175805", checkpoints=kept, first_sign=1_200.0,
        fired=text, best=f"step 12,345, highest retrieval, {text}", child="", notes=(text,),
    )  # fmt: skip
    return OfWidth(lambda width: checkpoints_table(shown, width))


def component(_text: str, _figure: float) -> RenderableType:
    found = small_registry().get("loss", "contrast")
    assert found is not None
    return component_view(found)


def recipe(_text: str, _figure: float) -> RenderableType:
    registry = small_registry()
    layer = Layer(where="mine.toml", table=tomllib.loads(MINIMAL + RULES), is_recipe=True)
    return recipe_view(load_layers([layer], path=Path("recipes/mine.toml"), registry=registry), registry)


def recipes(text: str, _figure: float) -> RenderableType:
    return recipes_list({f"mine_{number}": (Path("recipes/mine.toml"), f"{text}, " * number) for number in range(4)})


@attrs.frozen
class OfWidth:
    """A table that is told how wide the screen is."""

    table: Callable[[int], RenderableType]

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        yield self.table(options.max_width)


WIDTHS = (60, 80, 120, 200, UNBOUNDED)
TEXT = "order of observations"
"""In all places where a recipe, a plugin or a person says something."""


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


OTHERS: tuple[Table, ...] = (autopsy, checkpoints, component, recipe, recipes)


@pytest.mark.parametrize("table", [*TABLES, *OTHERS], ids=lambda table: table.__name__)
def test_a_table_looks_so(table: Table, snapshot: SnapshotAssertion) -> None:
    shown = []
    for width in WIDTHS:
        lines = printed(table(TEXT, 0.4125), width=width)
        # A command stays whole, to be copied.
        assert all(cell_len(line) <= width for line in lines if "jepa " not in line)
        shown += [f"--- {width if width < UNBOUNDED else 'unbounded'}", *lines]
    assert "\n".join(shown) == snapshot


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_word_of_a_run_s_first_lines_is_cut(width: int) -> None:
    findings = [
        Finding(name="a", severity=severity, message=f"{TEXT}, which {TEXT}.")
        for severity in ("info", "info", "warning")
    ]
    command = "jepa audit mine.toml"
    lines = [
        *(Hanging(line, AUDIT_INDENT, "ignore") for line in audit_lines(findings, command, width)),
        *(Hanging(line, NULLS_INDENT, "ignore") for line in null_lines(nulls("null", 0.25), width)),
    ]
    shown = [text for line in lines for text in printed(line, width=width)]
    assert max(map(cell_len, shown)) <= width
    known = set(f"{TEXT} observations. observations, which · audit ok ! {command}".split())
    of_audit = shown[: next(index for index, text in enumerate(shown) if text.startswith("nulls"))]
    assert set(" ".join(of_audit).split()) <= known
    assert all(text.startswith((" " * NULLS_INDENT, "audit", "nulls")) for text in shown)
