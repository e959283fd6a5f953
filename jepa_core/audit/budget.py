"""What a run's length and batch rule out before its first step: rules that nothing can fulfil, a schedule that does not
fit, losses with nothing to compare.

Knows the recipe and how many batches an epoch has; no weights, no observations.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from jepa_core.contracts import SequenceDataset
from jepa_core.engine.calendar import Calendar
from jepa_core.engine.course import Course
from jepa_core.engine.optimizer import learning_rate
from jepa_core.recipes.tables import Recipe
from jepa_core.watch.closures import Scene
from jepa_core.watch.findings import Finding, Severity
from jepa_core.watch.history import History
from jepa_core.watch.language import Rule, parse_rule
from jepa_core.watch.rules import Alarm, Criterion, Scenario

MOST_STEPS = 20_000
"""Steps of a run whose clocks are tried one by one: longer runs are not looked through."""

FAR_FROM_FLOOR = 0.1
"""Of the peak: a rate that ends farther above its floor was cut off."""


def run_findings(recipe: Recipe, dataset: SequenceDataset) -> Iterator[Finding]:
    """What is wrong with a run of its own length and its own batch."""
    course = Course.of(recipe, len(dataset.train))
    if course.per_epoch:
        yield from budget_findings(recipe, course)
    if recipe.train.batch_size == 1:
        yield _batch_of_one(recipe)
    for name, labels in dataset.validation.labels.items():
        if len(labels.unique()) < 2:
            yield _one_class(name, int(labels.unique().numel()))


def _one_class(label: str, num_classes: int) -> Finding:
    """A probe of it could only be right."""
    return Finding(
        name="a label of one class",
        severity="info",
        message=f"All validation sequences have the same {label}: there is nothing to tell apart, and jepa eval shows "
        "no probe of it.",
        evidence={"label": label, "classes": num_classes},
        advice="Validate on sequences of several classes if you want to know what embeddings say of it.",
    )


def _batch_of_one(recipe: Recipe) -> Finding:
    """Statistics over one sequence are constants; a queue of earlier targets is all that it could be compared with."""
    has_queue = any(getattr(entry.config, "queue", 0) for entry in recipe.losses.values() if entry.weight)
    rest = "only the queue has others. " if has_queue else "a contrast is 0 always, and a spread cannot be seen. "
    return Finding(
        name="a batch of one",
        severity="warning" if has_queue else "critical",
        message=f"A micro-batch holds one sequence: {rest}train.accumulate puts no sequences beside each other.",
        evidence={"batch_size": 1, "accumulate": recipe.train.accumulate},
        advice="Take larger micro-batches.",
        set={"train": {"batch_size": 32}},
    )


def budget_findings(recipe: Recipe, course: Course) -> Iterator[Finding]:
    """All of it; nothing for a run whose length fits its rules and its schedule."""
    calendar = Calendar(recipe, course)
    yield from _schedule(recipe, calendar.run_steps)
    yield from _rules(recipe, calendar)


def _schedule(recipe: Recipe, run_steps: int) -> Iterator[Finding]:
    schedule = recipe.schedule
    if schedule.warmup_steps >= run_steps:
        yield Finding(
            name="warm-up longer than the run",
            severity="warning",
            message=f"schedule.warmup_steps = {schedule.warmup_steps:,} is no less than the run's {run_steps:,} steps: "
            "the learning rate only rises, and optimizer.lr is reached at the end if at all.",
            evidence={"warmup_steps": schedule.warmup_steps, "run_steps": run_steps},
            advice="Warm up for at most a tenth of the run, or train longer.",
            set={"schedule": {"warmup_steps": run_steps // 10}},
        )
        return
    last = learning_rate(schedule, 1.0, run_steps - 1, run_steps)
    # The last step of a schedule as long as the run is one step short of the floor.
    fitting = learning_rate(schedule, 1.0, (schedule.total_steps or run_steps) - 1, run_steps)
    if last - max(fitting, schedule.floor) > FAR_FROM_FLOOR:
        yield Finding(
            name="schedule cut off",
            severity="warning",
            message=f"The learning rate ends at {100 * last:.0f} % of its peak and its floor is "
            f"{100 * schedule.floor:.3g} %: schedule.total_steps = {schedule.total_steps:,}, and the run has "
            f"{run_steps:,} steps.",
            evidence={"last": last, "floor": schedule.floor, "run_steps": run_steps},
            advice="Leave schedule.total_steps out: the schedule is as long as the run then.",
            set={"schedule": {"total_steps": run_steps}},
        )


def _rules(recipe: Recipe, calendar: Calendar) -> Iterator[Finding]:
    watch, epochs = recipe.watch, recipe.train.epochs
    end = calendar.epoch(calendar.run_steps)
    for kind, criteria in (("must", watch.must), ("nice", watch.nice)):
        severity: Severity = "critical" if kind == "must" else "warning"
        for criterion in criteria:
            if _never_judged(criterion, end):
                yield _beyond(kind, criterion, "after_epoch", epochs, severity)
            elif _cannot_hold(criterion, calendar):
                yield _impossible(kind, criterion, epochs, severity)
            elif criterion.until_epoch is not None and criterion.until_epoch > epochs:
                yield _beyond(kind, criterion, "until_epoch", epochs, "info")
    alarms = (("abort", watch.abort), ("rollback", watch.rollback), ("scenario", watch.scenario))
    for kind, rules in alarms:
        for rule in rules:
            if isinstance(rule, Scenario) and rule.of:  # installed ones follow the run's length by themselves
                continue
            if rule.at_epoch is not None and rule.at_epoch > end:
                yield _beyond(kind, rule, "at_epoch", epochs, "warning")
            elif _never_judged(rule, end):
                yield _beyond(kind, rule, "after_epoch", epochs, "warning")


def _never_judged(rule: Criterion | Alarm, end: float) -> bool:
    return rule.after_epoch is not None and rule.after_epoch >= end


def _cannot_hold(criterion: Criterion, calendar: Calendar) -> bool:
    """Whether the clocks alone decide against it, whatever the run does."""
    rule = parse_rule(criterion.when)
    until = calendar.run_steps
    if criterion.until_epoch is not None:
        until = bisect_right(range(1, until + 1), criterion.until_epoch, key=calendar.epoch)
    if until < 1 or until > MOST_STEPS:
        return False
    if criterion.hold != "once":  # what shall hold always holds at the end, too
        return _is_false(rule, until, calendar)
    return all(_is_false(rule, step, calendar) for step in range(1, until + 1))


def _is_false(rule: Rule, step: int, calendar: Calendar) -> bool:
    history = History(rule.names, epochs=calendar.recipe.train.epochs)
    history.take({"step": step, "epoch": calendar.epoch(step)})
    return rule.holds(Scene(history, None, set())) is False


def _impossible(kind: str, criterion: Criterion, epochs: int, severity: Severity) -> Finding:
    return Finding(
        name=f"{kind} {criterion.id} out of reach",
        severity=severity,
        message=f"The {kind} {criterion.id} cannot hold in a run of train.epochs = {epochs}: {criterion.when}.",
        evidence={"when": criterion.when, "epochs": epochs},
        advice="Write it with the clock epochs, such as epoch >= epochs - 0.1, or train longer.",
    )


def _beyond(kind: str, rule: Criterion | Alarm, field: str, epochs: int, severity: Severity) -> Finding:
    effect = "it is judged to the end" if field == "until_epoch" else "it is never judged"
    return Finding(
        name=f"{kind} {rule.id} beyond the run",
        severity=severity,
        message=f"The {kind} {rule.id} has {field} = {getattr(rule, field):g}, and the run has "
        f"train.epochs = {epochs}: {effect}.",
        evidence={"field": field, "value": getattr(rule, field), "epochs": epochs},
        advice=f"Lower {field}, or train longer.",
    )
