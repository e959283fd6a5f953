"""What the rules that have fired so far ask of the trainer. Acting on it is the trainer's business."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from jepa_core.watch.findings import Firing


@attrs.frozen(kw_only=True)
class Decision:
    """The firings that end a run, or would take it back."""

    abort: Firing | None = None
    """The first that fired: it ends the run."""
    early_stop: Firing | None = None
    """A normal finish."""
    rollback: Firing | None = None
    """The last that fired: one on what others have fired comes after them."""

    @property
    def ends(self) -> bool:
        """Whether training ends here."""
        return self.abort is not None or self.early_stop is not None

    def after(self, firings: Iterable[Firing]) -> Decision:
        """The decision once these have fired as well."""
        decision = self
        for firing in firings:
            if firing.kind == "abort" and decision.abort is None:
                decision = attrs.evolve(decision, abort=firing)
            elif firing.kind == "early stop":
                decision = attrs.evolve(decision, early_stop=firing)
            elif firing.kind == "rollback":
                decision = attrs.evolve(decision, rollback=firing)
        return decision
