"""What to type after a run: the remedy of the worst that was found, else what follows from the outcome.

More epochs are only advised where nothing critical was found, retrieval still rises, and a model can be above the
strongest null.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs

from jepa_core.shell_words import typed_flag, typed_path
from jepa_core.watch.findings import Finding
from jepa_core.watch.judge import Judge
from jepa_core.watch.judgement import Judgement
from jepa_core.watch.nulls import HARDER_DATA, says_little
from jepa_core.watch.verdict import Outcome

RULES = ("scenario", "rollback", "abort")
"""What the names of findings begin with that a rollback may follow."""

SMALL_VALIDATION = ("audit few candidates", "audit few tasks")
"""Findings that validation is too small for a verdict."""


@attrs.frozen(kw_only=True)
class Ended:
    """A run that has ended, as far as it decides what comes next."""

    outcome: Outcome
    run: Path
    judge: Judge
    judgements: Sequence[Judgement]
    findings: Sequence[Finding]
    """The most severe first."""
    remedy_of: Callable[[Finding], str]
    """The rollback that makes a finding's own change, with what it changes behind it, or with KEY=VALUE where that
    cannot be made; a new run with it, of the audit's; empty where there is none."""
    is_below_null: bool
    """Whether retrieval was found to be not above the strongest null."""
    beyond_reach: str = ""
    """Why no model can be above that null; empty where one can be, or that is not known."""
    is_stopped: bool
    name: str
    """What to type for the run."""
    flags: str
    """What to type behind commands that use its components."""

    def next_command(self) -> str:
        """The command, with why after two spaces and a hash."""
        critical = next((finding for finding in self.findings if finding.severity == "critical"), None)
        if critical is not None and not self.is_stopped and self.outcome not in ("success", "no effect"):
            return self._against(critical)
        baseline = self.judge.baseline
        advised = self._towards_the_null() if self.is_below_null else self._towards_more_tasks()
        if advised:
            return advised
        has_failed = any(judgement.kind == "must" and not judgement.held for judgement in self.judgements)
        if self.is_stopped or (baseline is None and has_failed):
            return self._look()
        if self.outcome == "success" or baseline is None:
            has_labels = any(figure.startswith("val.probe.") for figure in self.judge.finals)
            shown = "the best checkpoint with its probes" if has_labels else "the best checkpoint beside every null"
            return f"jepa eval {self.name}{self.flags}  # {shown}; on other data with --set data.…"
        if baseline.run:
            theirs = typed_path(f"{baseline.path}/recipe.toml")
            return f"jepa recipe diff {theirs} {self._recipe}{self.flags}  # what was changed"
        return self._look()

    def _look(self) -> str:
        return f"jepa monitor {self.name} --once  # the last figures and events"

    def _towards_more_tasks(self) -> str:
        """Of a run whose validation is too small for a verdict: a larger one, where the audit knows how."""
        candidates, tasks = (self.judge.finals.get(f"val.retrieval.{name}") for name in ("candidates", "tasks"))
        if self.outcome != "no baseline" or self.is_stopped or not says_little(candidates, tasks):
            return ""
        few = (finding for finding in self.findings if finding.name in SMALL_VALIDATION and finding.set)
        return next(filter(None, map(self.remedy_of, few)), "")

    def _towards_the_null(self) -> str:
        """Of a run that is not above it: other data where nothing can be, else a remedy, more epochs, or what there is
        to look at; empty of a run that has a baseline or no end, to which these say nothing."""
        if self.beyond_reach:
            return f"jepa audit {self._recipe} --set data.KEY=VALUE{self.flags}  # {self.beyond_reach}. {HARDER_DATA}"
        epochs = self.judge.history.epochs
        if not epochs or self.judge.baseline is not None:
            return ""
        fired = [finding for finding in self.findings if finding.name.split()[0] in RULES]
        for finding in fired:
            remedy = self.remedy_of(finding) if finding.set else ""
            if remedy and "KEY=VALUE" not in remedy:
                return remedy
        rise = self.judge.retrieval
        if not rise.is_over:
            longer = f"jepa run {self._recipe} --set train.epochs={math.ceil(2 * epochs)}{self.flags}"
            return f"{longer}  # twice the epochs; first, what cannot matter: jepa audit with the same recipe"
        advised = next((finding for finding in fired if finding.advice), None)
        if advised is not None:
            return self._against(advised)
        when = f"retrieval was highest at epoch {rise.highest_epoch:.3g} of {epochs:.3g}"
        return f"jepa eval {self.name}{self.flags}  # the best checkpoint: {when}, and more epochs alone do not help"

    def _against(self, finding: Finding) -> str:
        """Its own remedy, else its advice with the command that shows or follows it."""
        remedy = self.remedy_of(finding)
        if remedy:
            return remedy
        kind, _, rule = finding.name.partition(" ")
        why = ": ".join(filter(None, (finding.title.removesuffix("."), finding.advice)))
        if kind in RULES:
            return f"jepa rollback {self.name} {typed_flag('--scenario', rule)} --set KEY=VALUE{self.flags}  # {why}"
        if kind == "audit":
            return f"jepa audit {self._recipe}{self.flags}  # {why}"
        return f"jepa monitor {self.name} --once  # {why}"

    @property
    def _recipe(self) -> str:
        return typed_path(f"{self.run}/recipe.toml")
