"""Every table on terminals of several widths and in a pipe, as it looks: after a wanted change run this file with
`--snapshot-update`, and look at the difference."""

from __future__ import annotations

import pytest
from rich.cells import cell_len
from syrupy.assertion import SnapshotAssertion

from jepa_core.presentation.audit_table import AUDIT_INDENT, audit_lines
from jepa_core.presentation.null_lines import NULLS_INDENT, null_lines
from jepa_core.presentation.terminal import UNBOUNDED
from jepa_core.presentation.wrapping import Hanging
from jepa_core.watch.findings import Finding
from tests.presentation.consoles import printed
from tests.presentation.test_every_table import TABLES, Table, nulls

WIDTHS = (60, 80, 120, 200, UNBOUNDED)
TEXT = "order of observations"
"""In all places where a recipe, a plugin or a person says something."""


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
def test_a_table_looks_so(table: Table, snapshot: SnapshotAssertion) -> None:
    shown = []
    for width in WIDTHS:
        lines = printed(table(TEXT, 0.4125), width=width)
        assert max(map(cell_len, lines)) <= width
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
