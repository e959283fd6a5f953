"""From what has no effect to findings: what cannot matter, why, and what to change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

from jepa_core.audit.fields import with_value
from jepa_core.audit.report import ONE_OBSERVATION, ORDER_UNSEEN, EffectRow
from jepa_core.audit.trial import NUM_STEPS
from jepa_core.recipes.tables import Recipe
from jepa_core.watch.findings import Finding

_WHERE_IT_MATTERS = {
    True: "with more than one observation before the target",
    False: "whose context changes from one observation to the next",
}
"""By whether there is one alone now: sequences in which an aggregator has something to do."""


def effect_findings(rows: Iterable[EffectRow], recipe: Recipe, losses_found: set[str]) -> Iterator[Finding]:
    """Findings of the rows without effect. Losses in `losses_found` are explained by another finding already."""
    rows = list(rows)
    aggregator = next((row for row in rows if row.name.startswith("aggregator ")), None)
    for row in rows:
        if row is aggregator:
            yield aggregator_finding(row, recipe) if row.verdict == "none" else aggregator_matters(row, NUM_STEPS)
        elif row.verdict == "none" and row.kind == "part" and row.name == "context order":
            if aggregator is not None and aggregator.verdict != "none":
                yield order_finding(row)
        elif row.verdict == "none" and row.kind == "part":
            yield _part_finding(row)
        elif row.verdict == "none" and row.kind == "loss":
            if row.name not in losses_found:
                yield _loss_finding(row)
        elif row.verdict == "none":
            yield _field_finding(row)


def aggregator_finding(row: EffectRow, recipe: Recipe) -> Finding:
    """The aggregator cannot matter."""
    because = f": {row.reason}" if row.reason else " in the first three steps: it gives the mean over time"
    on_purpose = getattr(recipe.data, "context_length", None) == 1
    change = _one_observation(recipe) if row.reason and not on_purpose else {"aggregator": {"kind": "mean"}}
    instead = "data.context_length = 1" if "data" in change else "aggregator.kind = mean"
    return Finding(
        name="aggregator without effect",
        # With one observation there is no time to make something of, and the recipe asks for one.
        severity="info" if on_purpose else "critical",
        message=f"The {row.name} cannot matter on this data{because}."
        if row.reason
        else f"The {row.name} has no effect on this data{because}.",
        evidence=_evidence(row),
        advice=f"Give sequences {_WHERE_IT_MATTERS[row.reason == ONE_OBSERVATION]}, or {instead}."
        if row.reason and not on_purpose
        else "aggregator.kind = mean would give the same.",
        set=change,
    )


def aggregator_matters(row: EffectRow, num_steps: int) -> Finding:
    """It does, after so many steps: an untrained model shows another figure than one that has been trained a little."""
    when = f"after {num_steps} steps" if num_steps else "untrained"
    return Finding(
        name="aggregator matters",
        severity="info",
        message=f"The {row.name} matters on this data: context embeddings move {100 * row.embeddings:.1f} % "
        f"with a mean in its place, {when}.",
        evidence=_evidence(row),
    )


def order_finding(row: EffectRow) -> Finding:
    """The order of the context cannot matter although the aggregator does: it sees no positions, or nothing changes."""
    is_unseen = row.reason == ORDER_UNSEEN
    return Finding(
        name="order without effect",
        severity="warning",
        message=f"The order of the context has no effect: {row.reason}.",
        evidence=_evidence(row),
        advice="Where order decides what follows, take an aggregator that sees positions."
        if is_unseen
        else "There is no order to be seen: give data whose context changes.",
        set={"aggregator": {"kind": "attention"}} if is_unseen else {},
    )


def _one_observation(recipe: Recipe) -> Mapping[str, Any]:
    """The smallest recipe change that is honest about a context with nothing to tell apart."""
    try:
        with_value(recipe, "data", "context_length", 1)
    except (ValueError, TypeError, attrs.exceptions.AttrsAttributeNotFoundError):
        return {"aggregator": {"kind": "mean"}}
    return {"data": {"context_length": 1}}


def _part_finding(row: EffectRow) -> Finding:
    return Finding(
        name=f"{row.name} without effect",
        severity="critical",
        message=f"The {row.name} has no effect: with {row.without} in its place all is the same to the last bit"
        + (f" ({row.reason})." if row.reason else "."),
        evidence=_evidence(row),
        advice="Nothing that is changed about it can change a run.",
    )


def _loss_finding(row: EffectRow) -> Finding:
    is_off = row.reason == "its weight is 0"
    return Finding(
        name=f"{row.name} without effect",
        severity="info" if is_off else "critical",
        message=f"{row.name} has no effect"
        + (": its weight is 0." if is_off else ": without it the first three steps are the same to the last bit."),
        evidence=_evidence(row),
        advice="Leave it out, or give it a weight."
        if is_off
        else "Leave it out: its settings are connected to nothing.",
    )


def _field_finding(row: EffectRow) -> Finding:
    reason = f" ({row.reason})" if row.reason else ""
    return Finding(
        name=f"{row.name} without effect",
        severity="warning",
        message=f"{row.name} has no effect on this data: moved {row.without}, the first three steps are the same to "
        f"the last bit{reason}.",
        evidence=_evidence(row),
        advice="A comparison of runs that differ in it compares nothing.",
    )


def _evidence(row: EffectRow) -> dict[str, Any]:
    figures = {name: getattr(row, name) for name in ("embeddings", "loss", "gradient", "parameters")}
    return {"without": row.without, **figures}
