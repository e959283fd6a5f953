"""One must or nice while a run goes on."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

import attrs

from jepa_core.watch.closures import Scene
from jepa_core.watch.judgement import Extreme, Judgement, Kind, State, margin_of, title_of
from jepa_core.watch.language import Reading, Rule
from jepa_core.watch.rules import Criterion


class CriterionWatcher:
    """Evaluates a criterion on each row that concerns it, and remembers what decides it.

    `always` fails with the first evaluation that is false. `once` holds with the first that is true, and fails when
    `until_epoch` passes without one. `end` goes by the newest evaluation within its epochs.
    """

    def __init__(self, kind: Kind, criterion: Criterion, rule: Rule, units: Mapping[str, str]) -> None:
        self.criterion = criterion
        self.rule = rule
        self._kind = kind
        self._units = units
        self._newest: bool | None = None
        self._ever_true = False
        self._failed_at: float | None = None
        self._evaluations = 0
        self._past_window = False
        self._reading: Reading | None = None
        self._worst: Extreme | None = None
        self._worst_slack = math.inf

    def observe(self, row: Mapping[str, object], scene: Scene) -> bool:
        """Take in a row that the scene's history holds already; True when the criterion failed just now, for good."""
        if not self._within_epochs(scene.history.epoch) or not self.rule.concerns(row):
            return False
        result = self.rule.holds(scene)
        if result is None:
            return False
        self._evaluations += 1
        self._newest = result
        self._ever_true = self._ever_true or result
        self._reading = self.rule.reading(scene)
        self._note_worst(scene.history.epoch)
        if result or self.criterion.hold != "always" or self._failed_at is not None:
            return False
        self._failed_at = scene.history.epoch
        return True

    def begin_anew(self, epoch: float) -> None:
        """What was seen so far was seen in a network that is there no more, so that it holds nothing up in the one that
        begins at this epoch; but for what failed for good, and what was decided in epochs that are over."""
        until = self.criterion.until_epoch
        if self._failed_at is None and (until is None or epoch <= until):
            self._newest, self._ever_true, self._evaluations = None, False, 0
            self._reading, self._worst, self._worst_slack = None, None, math.inf

    def may_move(self, names: Collection[str]) -> bool:
        """Whether a row of these names can matter: it concerns the rule, or may lie past the last epoch."""
        return self.criterion.until_epoch is not None or self.rule.concerns(names)

    def judgement(self, *, at_end: bool) -> Judgement:
        """The state now; `at_end` decides what only the end can decide."""
        decided = at_end or self._past_window
        judgement = Judgement(
            id=self.criterion.id,
            kind=self._kind,
            title=title_of(self.criterion.title, self.criterion.id),
            when=self.criterion.when,
            hold=self.criterion.hold,
            state=self._state(decided),
            evaluations=self._evaluations,
            worst=self._worst if self.criterion.hold == "always" else None,
            epoch=self._failed_at,
        )
        reading = self._reading
        if reading is None:
            return judgement
        return attrs.evolve(
            judgement,
            value=reading.value,
            operator=reading.operator,
            limit=reading.limit,
            margin=margin_of(reading.value, reading.operator, reading.limit),
            unit=self._units.get(reading.metric, ""),
        )

    def _within_epochs(self, epoch: float) -> bool:
        after, until = self.criterion.after_epoch, self.criterion.until_epoch
        if until is not None and epoch > until:
            self._past_window = True
        return (after is None or epoch > after) and (until is None or epoch <= until)

    def _state(self, decided: bool) -> State:
        if self._failed_at is not None:
            return "failed"
        if self._newest is None:
            return "pending"
        holds = self._ever_true if self.criterion.hold == "once" else self._newest
        if holds:
            return "holding"
        return "failed" if decided else "pending"

    def _note_worst(self, epoch: float) -> None:
        reading = self._reading
        if reading is None or reading.value is None or reading.limit is None or reading.operator in "=≠":
            return
        slack = reading.value - reading.limit
        if reading.operator in "<≤":
            slack = -slack
        if self._worst is None or slack < self._worst_slack or math.isnan(slack):
            self._worst_slack = slack
            margin = margin_of(reading.value, reading.operator, reading.limit)
            self._worst = Extreme(value=reading.value, epoch=epoch, margin=margin)
