"""What a verdict says was found."""

from __future__ import annotations

import math

from jepa_core.watch.findings import Finding, Firing, Severity
from jepa_core.watch.run_findings import RunFindings, finding_of


def found(name: str, severity: Severity = "warning", step: int = 1) -> Finding:
    return Finding(name=name, severity=severity, message=f"{name} at {step}", step=step)


def all_of(*findings: Finding) -> tuple[Finding, ...]:
    so_far = RunFindings()
    for finding in findings:
        so_far.add(finding)
    return so_far.all()


def test_the_most_severe_come_first_then_the_earliest_and_information_is_left_out() -> None:
    findings = all_of(found("a"), found("b", "info"), found("c", "critical"), found("d"))
    assert [finding.name for finding in findings] == ["c", "a", "d"]


def test_what_comes_again_is_told_once_with_how_often() -> None:
    (finding,) = all_of(*(found("skipped", step=step) for step in (3, 5, 9)))
    assert (finding.message, finding.evidence) == ("skipped at 3", {"times": 3})


def test_a_firing_has_its_events_name_and_keeps_what_would_mend_it() -> None:
    firing = Firing(
        name="A", kind="rollback", severity="warning", message="much worse", step=640, epoch=13.0, first_sign=600,
        evidence={"rows": [{"loss.total": math.nan}]}, advice="Go back.", set={"a": {"kind": "mean"}}, use="gentle_vq",
    )  # fmt: skip
    (finding,) = all_of(finding_of(firing))
    assert (finding.name, finding.step, finding.epoch, finding.advice) == ("rollback A", 640, 13.0, "Go back.")
    assert finding.set == {"a": {"kind": "mean"}}
    assert finding.evidence == {"rows": [{"loss.total": "nan"}], "first_sign": 600, "use": "gentle_vq"}
