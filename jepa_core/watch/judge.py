"""The judge: feeds live or recorded rows to all rules of a recipe, and says what fired and what holds.

Trainer, monitor and checks share it: the same rows give the same judgement, live or replayed. Acting on a firing is
its readers' business.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from jepa_core.metrics import ANEW, Metric, directed
from jepa_core.recorded_numbers import decode_row
from jepa_core.watch.alarm_watcher import AlarmWatcher
from jepa_core.watch.baseline import BaselineValues
from jepa_core.watch.closures import Scene
from jepa_core.watch.criterion_watcher import CriterionWatcher
from jepa_core.watch.decision import Decision
from jepa_core.watch.early_stop_watcher import EarlyStopWatcher
from jepa_core.watch.findings import Firing
from jepa_core.watch.firings import firing_of_alarm, firing_of_criterion
from jepa_core.watch.history import History
from jepa_core.watch.judgement import Judgement
from jepa_core.watch.language import parse_rule
from jepa_core.watch.rise import Rise
from jepa_core.watch.rules import Watch

RETRIEVAL = "val.retrieval.mrr"

MOST_KINDS_OF_ROWS = 64
"""Sets of names in a row for which the watchers concerned are remembered."""


class Judge:
    """Judges one run. Feed it every row in order, after a resume also those that were recorded before it."""

    def __init__(
        self,
        watch: Watch,
        declarations: Iterable[Metric] = (),
        baseline: BaselineValues | None = None,
        epochs: float | None = None,
    ) -> None:
        """`declarations` give units and directions: without one a metric is neither compared by nor stopped on, and has
        no `best`. `epochs` is how many the whole run has.

        Raises:
            RuleError: a rule cannot be parsed.
        """
        declared = tuple(declarations)
        units = {metric.name: metric.unit for metric in declared}
        self.baseline = baseline
        self.finals: dict[str, float] = {}
        """The newest value of every metric."""
        self.retrieval = Rise()
        """How retrieval on validation went."""
        self.decision = Decision()
        """What has fired asks of the trainer."""
        self.judged = directed(watch.judge, declared)
        """What the run is compared by, in this order."""
        stop = watch.early_stop
        stop_on = directed([stop.metric], declared) if stop else {}
        self._early_stop = EarlyStopWatcher(stop, stop_on[stop.metric]) if stop and stop_on else None
        self._criteria = [
            *(CriterionWatcher("must", criterion, parse_rule(criterion.when), units) for criterion in watch.must),
            *(CriterionWatcher("nice", criterion, parse_rule(criterion.when), units) for criterion in watch.nice),
        ]
        self._alarms = [
            *(AlarmWatcher("abort", alarm, parse_rule(alarm.when), units) for alarm in watch.abort),
            *(AlarmWatcher("rollback", alarm, parse_rule(alarm.when), units) for alarm in watch.rollback),
            *(AlarmWatcher("scenario", alarm, parse_rule(alarm.when), units) for alarm in watch.scenario),
        ]
        # Rules on fired('…') come last, so that they see what a row set off.
        self._alarms_in_turn = sorted(self._alarms, key=lambda alarm: bool(alarm.rule.fired_ids))
        rules = [watcher.rule for watcher in self._criteria] + [watcher.rule for watcher in self._alarms]
        self._concerned: dict[frozenset[str], tuple[list[CriterionWatcher], list[AlarmWatcher]]] = {}
        names = {name for rule in rules for name in rule.names}
        self.history = History(names, {metric.name: metric.better for metric in declared}, epochs)
        # From the first row on, so that what is the lowest so far does not hang on when it was first asked for.
        for window in {window for rule in rules for window in rule.ordered_windows}:
            self.history.ordered(*window)
        self._scene = Scene(self.history, baseline, set())

    @property
    def fired(self) -> frozenset[str]:
        """Ids of the abort, rollback and scenario rules that have fired."""
        return frozenset(self._scene.fired)

    def observe(self, row: Mapping[str, Any]) -> list[Firing]:
        """Take in one row; the aborts, rollbacks and scenarios that fire on it, the musts and nices that it ends, and
        an early stop.

        Values may be numbers or their recorded text ("nan", "inf", "-inf"); others are ignored.
        """
        figures = decode_row(row)
        if ANEW in figures:
            self._begin_anew(figures.get("epoch", self.history.epoch))
        self.finals.update(figures)
        self.history.take(figures)
        if RETRIEVAL in figures:
            self.retrieval.take(figures[RETRIEVAL], self.history.epoch)
        criteria, alarms = self._watchers_of(frozenset(figures))
        firings = [
            firing_of_criterion(watcher.criterion, watcher.judgement(at_end=False), watcher.rule, self._scene)
            for watcher in criteria
            if watcher.observe(figures, self._scene)
        ]
        for watcher in alarms:
            if watcher.observe(figures, self._scene):
                self._scene.fired.add(watcher.alarm.id)
                firings.append(
                    firing_of_alarm(
                        watcher.alarm, watcher.judgement(), watcher.rule, self._scene, self._first_sign(watcher)
                    )
                )
        early_stop = self._early_stop.observe(figures, self.history) if self._early_stop else None
        if early_stop is not None:
            firings.append(early_stop)
        self.decision = self.decision.after(firings)
        return firings

    def _begin_anew(self, epoch: float) -> None:
        """Rows so far were of a network of which parts are no more: they are no yardstick for what comes, and what they
        show is not shown by the network that is judged. What has failed for good, or fired, stays told."""
        self.history.begin_anew()
        self.finals.clear()
        self.retrieval = Rise()
        for criterion in self._criteria:
            criterion.begin_anew(epoch)
        for alarm in self._alarms:
            alarm.begin_anew()
        if self._early_stop is not None:
            self._early_stop.begin_anew()

    def _watchers_of(self, names: frozenset[str]) -> tuple[list[CriterionWatcher], list[AlarmWatcher]]:
        """The watchers that a row of these names may move. Rows have few sets of names, so each is looked up once."""
        known = self._concerned.get(names)
        if known is None:
            if len(self._concerned) >= MOST_KINDS_OF_ROWS:
                self._concerned.clear()
            known = (
                [watcher for watcher in self._criteria if watcher.may_move(names)],
                [watcher for watcher in self._alarms_in_turn if watcher.may_move(names)],
            )
            self._concerned[names] = known
        return known

    @property
    def healthy_before(self) -> tuple[float, ...]:
        """Steps before which a checkpoint may still be wanted: the first signs of aborts and rollbacks that show now,
        fired or not yet."""
        signs = (self._first_sign(watcher) for watcher in self._alarms if watcher.kind != "scenario")
        return tuple(sorted({sign for sign in signs if sign is not None}))

    def _first_sign(self, watcher: AlarmWatcher) -> float | None:
        """Its own, or the earliest of the rules whose firing it asks for."""
        others = [self._first_sign(other) for other in self._alarms if other.alarm.id in watcher.rule.fired_ids]
        signs = [sign for sign in (watcher.first_sign, *others) if sign is not None]
        return min(signs, default=None) if watcher.first_sign is not None else None

    def judgements(self) -> tuple[Judgement, ...]:
        """Where every rule stands now: musts, nices, aborts, rollbacks, scenarios."""
        return self._judgements(at_end=False)

    def conclude(self, *, finished: bool = True) -> tuple[Judgement, ...]:
        """Where every rule stands at the end.

        A run that did not finish has not decided what was still open, so its `end` and `once` rules stay pending
        unless they hold.
        """
        return self._judgements(at_end=finished)

    def _judgements(self, *, at_end: bool) -> tuple[Judgement, ...]:
        criteria = [watcher.judgement(at_end=at_end) for watcher in self._criteria]
        alarms = [_if_long_enough(watcher.judgement(), watcher, self.history.step) for watcher in self._alarms]
        unjudged = frozenset(judgement.id for judgement in alarms if judgement.state == "pending")
        scene = attrs.evolve(self._scene, unjudged=unjudged)
        return (*criteria, *(_as_far_as_known(*pair, scene) for pair in zip(alarms, self._alarms, strict=True)))


def _if_long_enough(judgement: Judgement, watcher: AlarmWatcher, step: float) -> Judgement:
    """Not clear in a run that is shorter than what its rule asks for: it could not have fired."""
    needed = watcher.rule.least_step
    if judgement.state == "fired" or not step < needed:
        return judgement
    return attrs.evolve(judgement, state="pending", evaluations=0, steps=int(step), steps_needed=math.ceil(needed))


def _as_far_as_known(judgement: Judgement, watcher: AlarmWatcher, scene: Scene) -> Judgement:
    """Not clear while that hangs on rules which have not been judged themselves."""
    if judgement.state != "clear" or not watcher.rule.fired_ids or watcher.rule.holds(scene) is not None:
        return judgement
    return attrs.evolve(judgement, state="pending", evaluations=0)
