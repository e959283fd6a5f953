"""Running checks, and finding the smallest trial that shows a failure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs
import torch

from jepa_core.conformance.catalogue import checks_of
from jepa_core.conformance.check import Check, CheckResult, Example, Outcome
from jepa_core.conformance.remedies import remedy_of
from jepa_core.conformance.situations import Situation
from jepa_core.conformance.subject import Subject, subjects_of
from jepa_core.conformance.trial import Trial
from jepa_core.conformance.violation import NotApplicable, Raised, Stalled, Violation, place_of, raised
from jepa_core.discovery.offer import in_words
from jepa_core.errors import DataError, JepaError, PluginError
from jepa_core.registry import Component

_MEND = "Mend the line that is named: every check that reaches it ends there."


@attrs.frozen
class _Failure:
    message: str
    kind: type[BaseException]
    trial: Trial
    raised: Raised | None = None


def check_component(component: Component, *, config: Any = None) -> tuple[CheckResult, ...]:
    """What comes of all checks of the component's family; torch's generator is left as it was.

    Args:
        component: what is installed, as `find_components` gives it.
        config: an instance to try instead of small defaults, for a component that has none that are usable.
    """
    return tuple(results_of(component, config=config))


def results_of(
    component: Component, *, config: Any = None, tell: Callable[[str], None] = lambda _: None
) -> Iterator[CheckResult]:
    """The same one after the other, each as soon as it is known. `tell` is called with the name of each check before it
    is made."""
    told = dict[str, str]()
    for check in checks_of(component.family):
        tell(check.name)
        yield skipped_if_told(run_check(check, component, config=config), told)


def skipped_if_told(result: CheckResult, told: dict[str, str]) -> CheckResult:
    """The result, or that its check was skipped, where an earlier one has ended in the same exception at the same line.

    Args:
        result: of a check.
        told: what the component has raised, and in which check, which is added to.
    """
    found = result.raised
    if found is None:
        return result
    first = told.setdefault(f"{found.kind} {found.place or result.message}", result.check)
    if first == result.check:
        return result
    why = f"it raises {found.kind} where {first} does"
    return CheckResult(check=result.check, promise=result.promise, outcome="skipped", message=why)


def run_check(check: Check, component: Component, *, config: Any = None) -> CheckResult:
    """What comes of one check: of all variants of the component, in all of the check's situations."""
    with torch.random.fork_rng(devices=[]):
        result = _run(check, component, config)
    if not result.failed:
        return result
    remedy = remedy_of(component.family, check.name) if result.raised is None else _MEND
    return attrs.evolve(result, remedy=remedy)


def _run(check: Check, component: Component, config: Any) -> CheckResult:
    if check.of_class:
        return _result(check, [Subject(component=component, config=config)])
    try:
        subjects = subjects_of(component, config)
    except Violation as violation:
        outcome: Outcome = "failed" if check.name == "builds" else "not applicable"
        return _told(check, outcome, str(violation))
    return _result(check, subjects)


def _result(check: Check, subjects: Sequence[Subject]) -> CheckResult:
    passed, reasons = False, []
    for subject in subjects:
        for situation in check.situations:
            try:
                failure = _tried(check, subject, situation)
            except NotApplicable as reason:
                reasons.append(str(reason))
                continue
            if failure is not None:
                return _reported(check, _smallest(check, failure))
            passed = True
    if passed:
        return _told(check, "passed", "")
    return _told(check, "not applicable", reasons[0])


def _tried(check: Check, subject: Subject, situation: Situation) -> _Failure | None:
    """How it fails; None when it passes.

    Raises:
        NotApplicable: the check has nothing to say here.
    """
    trial = Trial(subject, situation)
    try:
        check.run(trial)
    except NotApplicable:
        raise
    except Violation as violation:
        return _Failure(f"{violation}{place_of(violation)}", type(violation), trial, violation.raised)
    except JepaError as error:
        is_told_elsewhere = subject.variant or check.name != "builds"
        if not trial.drawn and (is_told_elsewhere or isinstance(error, DataError | PluginError)):
            raise NotApplicable(f"it cannot be built here: {_on_one_line(error)}") from error
        return _Failure(f"it refuses what it is tried with: {_on_one_line(error)}", type(error), trial)
    except (Exception, SystemExit) as error:
        return _Failure(f"it raises {in_words(error)}{place_of(error)}", type(error), trial, raised(error))
    return None


def _smallest(check: Check, failure: _Failure) -> _Failure:
    """The same failure on the smallest batch that still shows it, reduced one size after the other."""
    if not failure.trial.drawn or failure.kind is Stalled:
        return failure
    for situation in failure.trial.situation.smaller(check.least_batch):
        try:
            smaller = _tried(check, failure.trial.subject, situation)
        except NotApplicable:
            continue
        if smaller is not None and smaller.kind is failure.kind:
            return _smallest(check, smaller)
    return failure


def _reported(check: Check, failure: _Failure) -> CheckResult:
    trial = failure.trial
    example = Example(
        variant=trial.subject.variant,
        situation=_situation(trial) if trial.drawn else "",
        seed=trial.seed,
        shapes={name: tuple(tensor.shape) for name, tensor in trial.drawn.items()},
    )
    has_example = bool(trial.drawn or trial.subject.variant)
    told = _told(check, "failed", failure.message, example if has_example else None)
    return attrs.evolve(told, raised=failure.raised)


def _situation(trial: Trial) -> str:
    """The sizes, with the space where the component names one."""
    return trial.situation.text() + ("" if trial.space is None else f", {trial.space.describe()}")


def _told(check: Check, outcome: Outcome, message: str, example: Example | None = None) -> CheckResult:
    return CheckResult(check=check.name, promise=check.promise, outcome=outcome, message=message, example=example)


def _on_one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
