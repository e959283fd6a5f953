"""The `watch` table: what a run must, may and must not do, as data. Judging is in `judge`, the language in `language`.

Knows nothing of torch: trainer, monitor and `jepa check` share it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import attrs

from jepa_core.settings import setting

Hold = Literal["always", "end", "once"]
Severity = Literal["info", "warning", "critical"]

JUDGED = ("val.retrieval.mrr", "val.loss.info_nce.raw")
"""What runs are compared by unless their recipe says otherwise, those that they report: never a weighted sum, whose
weights may be what is varied."""


@attrs.frozen(kw_only=True)
class Criterion:
    """A must or a nice: a rule that shall hold."""

    id: str = setting("name of the rule; a child recipe's rule replaces its parent's of the same id")
    when: str = setting("the condition, in the rule language")
    hold: Hold = setting("always: on every evaluation; end: on the last; once: on at least one", default="end")
    after_epoch: float | None = setting("judge only rows later than this epoch", default=None, at_least=0)
    until_epoch: float | None = setting("judge only rows up to this epoch", default=None, at_least=0)
    title: str = setting("words for the verdict table; the id when empty", default="")


@attrs.frozen(kw_only=True)
class Abort:
    """A rule that ends the run with exit code 3 when it fires."""

    id: str = setting("name of the rule")
    when: str = setting("the condition, in the rule language")
    after_epoch: float | None = setting("judge only rows later than this epoch", default=None, at_least=0)
    at_epoch: float | None = setting("judge only the first validation at or after this epoch", default=None, at_least=0)
    evaluations: int = setting("that many evaluations in a row must hold (`for` in a recipe)", default=1, at_least=1)
    advice: str = setting("what to do about it", default="")
    title: str = setting("words for the event; the id when empty", default="")


@attrs.frozen(kw_only=True)
class Rollback:
    """A scenario: when it fires, it is flagged with its evidence and the change that would mend it."""

    id: str = setting("name of the rule")
    when: str = setting("the condition, in the rule language")
    title: str = setting("what happened, in words", default="")
    after_epoch: float | None = setting("judge only rows later than this epoch", default=None, at_least=0)
    at_epoch: float | None = setting("judge only the first validation at or after this epoch", default=None, at_least=0)
    evaluations: int = setting("that many evaluations in a row must hold (`for` in a recipe)", default=1, at_least=1)
    set: Mapping[str, Any] = setting("recipe values to change, as nested tables", factory=dict)
    use: str = setting("another recipe to use, whole", default="")
    advice: str = setting("what to do about it", default="")


@attrs.frozen(kw_only=True)
class Scenario:
    """A pathology that is watched for: when it shows, it is a finding with advice, and the run goes on."""

    id: str = setting("name of the rule")
    when: str = setting("the condition, in the rule language")
    title: str = setting("what happened, in words", default="")
    severity: Severity = setting("how bad it is", default="warning", choices=("info", "warning", "critical"))
    after_epoch: float | None = setting("judge only rows later than this epoch", default=None, at_least=0)
    at_epoch: float | None = setting("judge only the first validation at or after this epoch", default=None, at_least=0)
    evaluations: int = setting("that many evaluations in a row must hold (`for` in a recipe)", default=1, at_least=1)
    set: Mapping[str, Any] = setting("recipe values that would mend it, as nested tables", factory=dict)
    advice: str = setting("what to do about it", default="")
    of: str = setting("the installed scenario that it was expanded from; empty for a rule of the recipe's", default="")


Alarm = Abort | Rollback | Scenario


@attrs.frozen(kw_only=True)
class Baseline:
    """What the run is compared with: one of `recipe`, `run`, `figures`."""

    recipe: str = setting("a recipe's name: its newest finished run on the same data", default="")
    run: str = setting(
        "a run beside it: its name, the start of it, or the time in it, or latest: the newest that began before",
        default="",
    )
    figures: Mapping[str, float] = setting("metric → value at the end", factory=dict)
    data: str = setting("fingerprint of the data that the figures were measured on", default="")
    name: str = setting("what to call it in the verdict", default="")


@attrs.frozen(kw_only=True)
class EarlyStop:
    """A normal finish when validation no longer improves."""

    metric: str = setting(
        "what is watched: any metric of the recipe of which more or less is better", default="val.loss.info_nce.raw"
    )
    patience: int = setting(
        "validations without improvement before the run stops; of a metric of training, rows that report it",
        unit="validations",
        at_least=1,
    )
    min_delta: float = setting("smallest change that counts as improvement", default=0.0, at_least=0)


@attrs.frozen(kw_only=True)
class Watch:
    """The whole `watch` table."""

    baseline: Baseline | None = setting("what the run is compared with", default=None)
    judge: tuple[str, ...] = setting(
        "metrics that runs are compared by, each in its declared direction: the first that both sides report decides",
        default=JUDGED,
    )
    early_stop: EarlyStop | None = setting("when to stop early; absent: never", default=None)
    max_rollbacks: int = setting("most rollbacks that --auto-rollback makes", default=1, at_least=0)
    must: tuple[Criterion, ...] = setting("rules that shall hold", default=())
    nice: tuple[Criterion, ...] = setting("rules that would be good to hold", default=())
    abort: tuple[Abort, ...] = setting("rules that end the run", default=())
    rollback: tuple[Rollback, ...] = setting("scenarios with a remedy", default=())
    scenario: tuple[Scenario, ...] = setting("pathologies that become findings, and leave the run alone", default=())
    scenarios: Mapping[str, Any] = setting(
        "installed scenarios by name: false switches one off, a table changes its settings; all are on", factory=dict
    )

    @property
    def alarms(self) -> tuple[Alarm, ...]:
        """All rules that fire: aborts, rollbacks and scenarios."""
        return (*self.abort, *self.rollback, *self.scenario)
