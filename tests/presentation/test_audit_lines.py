"""The lines that a run begins with."""

from __future__ import annotations

import pytest

from jepa_core.presentation.audit_lines import audit_lines
from jepa_core.watch.findings import Finding, Severity

COMMAND = "jepa audit recipes/optimized.toml"


def found(message: str, severity: Severity = "info") -> Finding:
    return Finding(name="n", severity=severity, message=message)


def lines(*findings: Finding, width: int = 100) -> list[str]:
    return [line.plain for line in audit_lines(findings, COMMAND, width)]


def test_what_is_in_order_is_one_line_and_each_fault_its_own_with_the_command_at_the_right() -> None:
    shown = lines(
        found("The aggregator cannot matter.", "critical"),
        found("It matters."),
        found("Every loss reaches the encoder."),
    )
    assert shown == [
        "audit   ok  It matters · Every loss reaches the encoder",
        "        !   The aggregator cannot matter." + " " * 26 + COMMAND,
    ]
    assert len(shown[1]) == 100


def test_without_anything_in_order_the_first_fault_has_the_label() -> None:
    shown = lines(found("One.", "critical"), found("Two.", "warning"), width=20)
    assert shown == ["audit   !   One.", f"        !   Two.    {COMMAND}"]


def test_without_findings_there_is_no_line() -> None:
    assert lines() == []


@pytest.mark.parametrize("severity", ["info", "warning"])
def test_foreign_text_does_not_steer_the_terminal(severity: Severity) -> None:
    assert "\x1b" not in "".join(lines(found("\x1b[2Jx", severity)))
