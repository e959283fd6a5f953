"""An audit as a table: what each verdict reads like, with figures that are tiny, large or no numbers."""

from __future__ import annotations

import math
from typing import Any

import attrs
import pytest

from jepa_core.audit.report import Audit, DataFigures, EffectRow, LossFigures, StepFigures
from jepa_core.presentation.audit_table import AUDIT_INDENT, audit_lines, audit_table, findings_list
from jepa_core.presentation.wrapping import Hanging
from jepa_core.spaces import SpaceAudit
from jepa_core.watch.findings import Finding, Severity
from jepa_core.watch.nulls import NullFigures, RankedNulls
from tests.presentation.consoles import printed, words_of

AUDIT = Audit(
    recipe="mine",
    device="cpu, fp32",
    num_sequences=32,
    num_steps=3,
    seconds=4.2,
    effects=(),
    losses=(LossFigures(name="info_nce", value=5.2, share=0.75, degree=0.0, spread=0.4),),
    data=DataFigures(
        description="1,200 traces",
        train_sequences=1000,
        validation_sequences=200,
        audited_sequences=1200,
        context_length=3,
        identical_context=0.0,
        across_splits=0.25,
        repeated_in_train=0.0,
        shared_tasks=0,
        target_in_context=0.125,
        of_space=SpaceAudit(lines=(("grid sizes", "3 to 8"),)),
        nulls=RankedNulls(figures=(NullFigures(name="pair_analogy", mrr=0.346, top1=0.2),)),
    ),
    step=StepFigures(
        grad_norms=(1.5, 2.5, 3.5),
        clip_norm=2.0,
        padding=0.4,
        temperatures={"info_nce": (0.07, 0.05, 0.2)},
        seconds=0.25,
        total_steps=14_400,
        memory_gib=1.5,
        measured="extrapolated from steps of 8 sequences",
    ),
    findings=(),
)


def row(name: str = "quantizer ema_vq", **changes: Any) -> EffectRow:
    return EffectRow(**{"kind": "part", "name": name, "without": "none", "verdict": "effect", **changes})


def effect(found: EffectRow) -> str:
    """The line of a row, behind its name and what took its place."""
    (line,) = (
        line for line in words_of(audit_table(attrs.evolve(AUDIT, effects=(found,)))) if line.startswith(found.name)
    )
    return line.removeprefix(f"{found.name} {found.without} ")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"embeddings": 0.7}, "large context embeddings"),
        ({"loss": 0.5}, "50.0 % total loss"),
        ({"embeddings": 0.01, "gradient": 0.2}, "20.0 % gradient at the encoder"),
        ({"parameters": 0.0009}, "< 0.1 % how parameters move"),
        ({"loss": math.nan, "embeddings": 0.3}, "nan % total loss"),
        ({"loss": math.inf}, "large total loss"),
        ({"verdict": "none", "reason": "all is as before"}, "none all is as before"),
        ({"verdict": "not testable", "reason": "acts later"}, "– acts later"),
        ({"kind": "loss", "share": 0.125}, "share 12.5 % of the gradient"),
        ({"kind": "loss", "share": 0.0, "verdict": "none", "reason": "its weight is 0"}, "share 0.0 % of the gradient"),
        ({"kind": "loss", "share": 1e-5}, "share < 0.1 % of the gradient"),
        ({"kind": "loss", "share": math.nan}, "share nan % of the gradient"),
    ],
)
def test_each_verdict_on_a_part_reads_as_how_much_and_where(changes: dict[str, Any], text: str) -> None:
    assert effect(row(**changes)).startswith(text)


def test_the_facts_of_data_and_steps_are_told_with_their_units() -> None:
    lines = words_of(audit_table(AUDIT))
    assert lines[0] == "mine on 1,200 traces · 3 steps of 32 sequences · cpu, fp32 · 4.2 s"
    for line in (
        "sequences 1,000 training, 200 validation",
        "grid sizes 3 to 8",
        "strongest null pair analogy: MRR 0.346 · top-1 20.0 %, learns nothing",
        "gradient norm 1.50 · 2.50 · 3.50 limit 2",
        "temperature of info_nce 0.070 within 0.05 and 0.2",
        "loss info_nce 5.20 · share 75.0 % · ×1 when embeddings double",
        "padding 40.0 % of context tokens",
        "whole run 14,400 steps of 0.250 s: 1 h 0 min · 1.50 GiB extrapolated from steps of 8 sequences",
    ):
        assert line in lines
    assert "target in context 12.5 % · repeated in training 0.0 % · validation seen in training 25.0 %" in " ".join(
        lines
    )


def test_what_is_not_there_is_said_to_be_none() -> None:
    audit = attrs.evolve(
        AUDIT,
        data=attrs.evolve(AUDIT.data, nulls=RankedNulls()),
        step=attrs.evolve(AUDIT.step, clip_norm=None),
        losses=(attrs.evolve(AUDIT.losses[0], degree=None),),
    )
    lines = words_of(audit_table(audit))
    assert "strongest null none fits" in lines
    assert "gradient norm 1.50 · 2.50 · 3.50 no limit" in lines
    assert "loss info_nce 5.20 · share 75.0 %" in lines


def test_a_step_that_does_not_fit_has_no_time_and_no_memory_but_its_reason() -> None:
    why = "a micro-batch does not fit the device's memory"
    step = attrs.evolve(AUDIT.step, seconds=math.nan, memory_gib=math.inf, measured=why)
    assert f"whole run 14,400 steps {why}" in words_of(audit_table(attrs.evolve(AUDIT, step=step)))


@pytest.mark.parametrize(
    ("severities", "summary"),
    [
        ((), "0 critical · 0 warnings"),
        (("warning",), "0 critical · 1 warning"),
        (("critical", "warning", "warning", "info"), "1 critical · 2 warnings"),
    ],
)
def test_findings_are_counted_and_each_told(severities: tuple[Severity, ...], summary: str) -> None:
    findings = [
        Finding(name="f", severity=severity, message=f"number {index}") for index, severity in enumerate(severities)
    ]
    told = [f"{severity} number {index}" for index, severity in enumerate(severities)]
    assert words_of(findings_list(findings)) == [summary, *told]


def test_a_finding_has_its_advice_and_the_flags_that_follow_it_below() -> None:
    finding = Finding(
        name="f", severity="critical", message="Odd.", advice="Leave it.", set={"losses": {"odd": {"weight": 0.0}}}
    )
    assert words_of(findings_list([finding]))[1:] == ["critical Odd.", "Leave it.", "--set losses.odd.weight=0.0"]


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
    assert shown == ["audit   !   One.", "        !   Two.", f"            {COMMAND}"]


def test_without_findings_there_is_no_line() -> None:
    assert lines() == []


@pytest.mark.parametrize("severity", ["info", "warning"])
def test_foreign_text_does_not_steer_the_terminal(severity: Severity) -> None:
    assert "\x1b" not in "".join(lines(found("\x1b[2Jx", severity)))


def test_on_a_narrow_terminal_what_is_in_order_goes_on_below_its_first_word() -> None:
    shown = lines(found("The aggregator matters on this data."), found("Every loss reaches the encoder."), width=60)
    assert shown == [
        "audit   ok  The aggregator matters on this data ·",
        "            Every loss reaches the encoder",
    ]


def test_a_command_that_is_wider_than_the_terminal_is_not_broken() -> None:
    *_, command = audit_lines([found("One.", "critical")], COMMAND, 20)
    assert printed(Hanging(command, AUDIT_INDENT, overflow="ignore"), width=20) == [" " * AUDIT_INDENT + COMMAND]
