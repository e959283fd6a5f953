"""Putting a run's rows before its rules, a little at a time: a million rows take minutes to judge, not to show.

The same judge as the trainer's sees every row in order, so it finds the same; until it has caught up, what the trainer
told in its events stands in.
"""

from __future__ import annotations

import time

from jepa_core.watch.findings import Firing
from jepa_core.watch.judgement import Judgement
from jepa_monitor.history.run_history import RunHistory
from jepa_monitor.model.rules_in_force import RulesInForce

_ROWS_AT_A_TIME = 50


class Judging:
    """The judge of one run, and how far it has come."""

    def __init__(self) -> None:
        self.judge_by(RulesInForce())

    def judge_by(self, rules: RulesInForce) -> None:
        """Begin again, by other rules."""
        self.rules = rules
        self.begin_again()

    def begin_again(self) -> None:
        """Forget all rows."""
        self._judge = self.rules.fresh_judge()
        self.judged_rows = 0
        self.firings: tuple[Firing, ...] = ()
        """What has fired so far."""

    def judgements(self) -> tuple[Judgement, ...]:
        """Where every rule stands after the rows judged so far."""
        return self._judge.judgements()

    def advance(self, history: RunHistory, seconds: float) -> bool:
        """Judge rows for about that long; whether there were any."""
        until = time.monotonic() + seconds
        start = self.judged_rows
        while self.judged_rows < history.num_rows:
            rows = history.rows(self.judged_rows, self.judged_rows + _ROWS_AT_A_TIME)
            fired = [firing for row in rows for firing in self._judge.observe(row)]
            self.firings += tuple(fired)
            self.judged_rows += len(rows)
            if time.monotonic() >= until:
                break
        return self.judged_rows > start
