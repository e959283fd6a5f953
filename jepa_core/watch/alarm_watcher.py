"""One abort, rollback or scenario rule while a run goes on."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import attrs

from jepa_core.watch.closures import Scene
from jepa_core.watch.judgement import Judgement, Kind, margin_of, title_of
from jepa_core.watch.language import Reading, Rule
from jepa_core.watch.rules import Alarm


class AlarmWatcher:
    """Evaluates an alarm on each row that concerns it; fires once, when enough evaluations in a row are true.

    With `at_epoch` it is evaluated once, on the first validation row at or after that epoch that gives enough data.
    """

    def __init__(self, kind: Kind, alarm: Alarm, rule: Rule, units: Mapping[str, str]) -> None:
        self.alarm = alarm
        self.rule = rule
        self.kind = kind
        self._units = units
        self._wants_validation_name = _is_validation(rule.names)
        self._in_a_row = 0
        self._evaluations = 0
        self._reading: Reading | None = None
        self.fired_at: float | None = None
        self.first_sign: float | None = None
        """The first step of what the condition looks at, since it holds without a break; also while it is not judged
        yet, or not long enough to fire. None while it does not hold."""

    def observe(self, row: Mapping[str, object], scene: Scene) -> bool:
        """Take in a row that the scene's history holds already; True when the alarm fires on it."""
        if self.fired_at is not None:
            return False
        is_due = self._is_due(row, scene.history.epoch)
        result = self.rule.holds(scene) if is_due or self.rule.concerns(row) else None
        if result is None:
            return False
        self._note_sign(result, scene)
        if not is_due:
            return False
        self._evaluations += 1
        self._reading = self.rule.reading(scene)
        self._in_a_row = self._in_a_row + 1 if result else 0
        if self._in_a_row < self.alarm.evaluations:
            return False
        self.fired_at = scene.history.epoch
        return True

    def begin_anew(self) -> None:
        """What holds so far was seen in a network that is there no more; what has fired stays told."""
        self._in_a_row = 0
        self.first_sign = None

    def _note_sign(self, result: bool, scene: Scene) -> None:
        if not result:
            self.first_sign = None
        elif self.first_sign is None:
            self.first_sign = self.rule.looks_back_to(scene)

    def may_move(self, names: Collection[str]) -> bool:
        """Whether a row of these names can matter: it concerns the rule, or may be the validation waited for."""
        return self.rule.concerns(names) or (self.alarm.at_epoch is not None and _is_validation(names))

    def judgement(self) -> Judgement:
        """The state now."""
        reading = self._reading
        judgement = Judgement(
            id=self.alarm.id,
            kind=self.kind,
            title=title_of(self.alarm.title, self.alarm.id),
            when=self.alarm.when,
            state="fired" if self.fired_at is not None else "clear" if self._evaluations else "pending",
            evaluations=self._evaluations,
            epoch=self.fired_at,
        )
        if reading is None:
            return judgement
        margin = margin_of(reading.value, reading.operator, reading.limit)
        return attrs.evolve(
            judgement,
            value=reading.value,
            operator=reading.operator,
            limit=reading.limit,
            margin=None if margin is None else -margin,
            unit=self._units.get(reading.metric, ""),
        )

    def _is_due(self, row: Mapping[str, object], epoch: float) -> bool:
        alarm = self.alarm
        if alarm.after_epoch is not None and not epoch > alarm.after_epoch:
            return False
        if alarm.at_epoch is None:
            return self.rule.concerns(row)
        if self._evaluations or not epoch >= alarm.at_epoch or not _is_validation(row):
            return False
        return not self._wants_validation_name or self.rule.concerns(row)


def _is_validation(names: Collection[str]) -> bool:
    return any(name.startswith("val.") for name in names)
