"""Recorded rows put before the judge again: what fires, where every rule stands, and what that comes to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

from jepa_core.recorded_numbers import encode
from jepa_core.watch.findings import Finding, Firing
from jepa_core.watch.judge import Judge
from jepa_core.watch.judgement import Judgement
from jepa_core.watch.verdict import EXIT_FINISHED, EXIT_MUST_FAILED, EXIT_STOPPED


@attrs.frozen(kw_only=True)
class Replay:
    """What a judge says of recorded rows."""

    firings: tuple[Firing, ...]
    """In the order in which they came."""
    judgements: tuple[Judgement, ...]
    """Every rule; one without enough data is pending."""
    step: float | None
    """Of the newest row."""
    epoch: float | None
    finished: bool = True
    """The rows are all that there will be: a must that is pending will never be judged."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What fired, the musts and nices that the end of the rows decided against, and the musts that it left open."""
        return (*self.firings, *self._failed_at_the_end(), *self._left_open())

    @property
    def exit_code(self) -> int:
        """3: an abort or a critical scenario fired; 4: a must failed, or was not judged by the end; 0: none of them."""
        if any(firing.severity == "critical" for firing in self.firings):
            return EXIT_STOPPED
        failed = any(judgement.kind == "must" and judgement.state == "failed" for judgement in self.judgements)
        return EXIT_MUST_FAILED if failed or self._unjudged else EXIT_FINISHED

    @property
    def _unjudged(self) -> tuple[Judgement, ...]:
        musts = (judgement for judgement in self.judgements if judgement.kind == "must")
        return tuple(must for must in musts if self.finished and must.state == "pending")

    def _failed_at_the_end(self) -> Iterator[Finding]:
        told = {(firing.kind, firing.name) for firing in self.firings}
        for judgement in self.judgements:
            if judgement.state == "failed" and (judgement.kind, judgement.id) not in told:
                yield Finding(
                    name=judgement.id,
                    severity="warning" if judgement.kind == "must" else "info",
                    message=f"{judgement.title}: does not hold, {judgement.when}",
                    step=self.step,
                    epoch=self.epoch,
                    evidence={"when": judgement.when, "value": judgement.value, "limit": judgement.limit},
                )

    def _left_open(self) -> Iterator[Finding]:
        for must in self._unjudged:
            yield Finding(
                name=must.id,
                severity="warning",
                message=f"{must.title}: could not be judged, the rows lack what it asks for: {must.when}",
                step=self.step,
                epoch=self.epoch,
                evidence={"when": must.when},
            )


def replay(rows: Iterable[Mapping[str, Any]], judge: Judge, *, finished: bool) -> Replay:
    """Put all rows before a fresh judge; `finished` lets what only the end decides be decided."""
    firings = tuple(firing for row in rows for firing in judge.observe(row))
    judgements = judge.conclude(finished=finished)
    return Replay(
        firings=firings,
        judgements=judgements,
        step=judge.finals.get("step"),
        epoch=judge.finals.get("epoch"),
        finished=finished,
    )


def replay_to_json(found: Replay) -> dict[str, Any]:
    """As plain values for JSON; non-finite numbers as text."""
    plain: dict[str, Any] = encode(
        {
            "exit_code": found.exit_code,
            "findings": [attrs.asdict(finding) for finding in found.findings],
            "rules": [attrs.asdict(judgement) for judgement in found.judgements],
        }
    )
    return plain
