"""The line of rules: every must, then nice, abort, rollback and findings in a word each. Pure functions.

Where the line is narrow it says less of what passes, and keeps what is in trouble.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from jepa_core.figures import limit_text, value_beside_limit
from jepa_monitor.charts.spec import Tone
from jepa_monitor.model.run_view import Outlook, Prospect, RunView
from jepa_monitor.panels.line import Line, Span, foreign, line

PROSPECT_MARKS: dict[Prospect, tuple[str, Tone]] = {
    "passing": ("✔", "good"),
    "pending": ("◌", "dim"),
    "at risk": ("◔", "warning"),
    "failed": ("✘", "bad"),
    "fired": ("▲", "bad"),
}
_TROUBLED: tuple[Prospect, ...] = ("failed", "fired", "at risk")
_QUIET: tuple[Prospect, ...] = ("passing", "pending")
_GAP, _NARROW_GAP = "    ", "  "
_LONGEST_TITLE, _LONG_TITLE = 60, 24


def _why_no_rules(view: RunView) -> str:
    if view.recipe:
        return "No rules: the recipe has none under [watch]."
    return "No rules yet: the run is starting." if view.state == "starting" else "No rules: there is no recipe to read."


def rules_bar(view: RunView, width: int, rollback_key: str = "r") -> Line:
    """The line of rules, as full as fits; what has fired comes first, a rollback with the key that opens it."""
    if not view.outlooks:
        return line(Span(f" {_why_no_rules(view)}", "dim")).fitted(width)
    musts, fired, rest = _of_kind(view.outlooks, "must"), *_alarms_and_rest(view.outlooks, rollback_key)
    renderings = (
        *(_musts(musts, says, limit) for says in _FULLER for limit in (_LONGEST_TITLE, _LONG_TITLE)),
        *(_nearest(musts, number) for number in range(len(musts) - 1, 0, -1)),
        _counted(musts, says=lambda outlook: (*_value(outlook), *_margin(outlook))),
        _counted(musts, says=_value),
        _counted(musts, says=_value_now),
        _counted(musts),
    )
    for shown in filter(lambda each: each.spans, renderings) if musts else renderings:
        for gap in (_GAP, _NARROW_GAP):
            joined = line(" ", *_joined([*fired, shown, *rest], gap))
            if joined.width <= width:
                return joined.fitted(width)
    return line(" ", *_joined([*fired, renderings[-1], *rest], _NARROW_GAP)).fitted(width)


def prospect_mark(prospect: Prospect) -> Span:
    """The sign of how a rule stands."""
    mark, tone = PROSPECT_MARKS[prospect]
    return Span(mark, tone)


def _of_kind(outlooks: Iterable[Outlook], *kinds: str) -> list[Outlook]:
    return [outlook for outlook in outlooks if outlook.judgement.kind in kinds]


def _joined(parts: Iterable[Line], gap: str = _GAP) -> list[Line]:
    shown = [part for part in parts if part.spans]
    return [line(part, gap) for part in shown[:-1]] + shown[-1:]


def _nearest(musts: Sequence[Outlook], number: int) -> Line:
    """So many of them with value and margin, and the others by number: those in trouble first, then of those that are
    judged already the nearest to their limits. Nothing where one in trouble is left out."""
    in_need = sorted(range(len(musts)), key=lambda index: _need(musts[index]))
    named = [musts[index] for index in sorted(in_need[:number])]
    others = [musts[index] for index in in_need[number:]]
    if any(map(_is_troubled, others)):
        return line()
    return line(_musts(named, _value_and_margin), "  ", *_joined(_numbers(others), "  "))


def _need(must: Outlook) -> tuple[bool, bool, float]:
    return not _is_troubled(must), must.prospect == "pending", must.nearness


def _is_troubled(outlook: Outlook) -> bool:
    return outlook.prospect in _TROUBLED


def _numbers(musts: Sequence[Outlook]) -> list[Line]:
    """How many of them pass, and how many wait."""
    counts = ((prospect, sum(each.prospect == prospect for each in musts)) for prospect in _QUIET)
    return [line(prospect_mark(prospect), f" {count}") for prospect, count in counts if count]


def _counted(musts: Sequence[Outlook], *, says: Callable[[Outlook], Iterable[Span]] = lambda _outlook: ()) -> Line:
    """Those in trouble by name, the others by number."""
    if not musts:
        return line()
    troubled = filter(_is_troubled, musts)
    parts = [line(prospect_mark(o.prospect), f" {_title(o, 16)}", *says(o)) for o in troubled]
    return line(Span("must ", "dim"), *_joined([*parts, *_numbers(musts)], "  "))


def _musts(
    musts: Sequence[Outlook], says: Callable[[Outlook], Iterable[Span]], longest_title: int = _LONG_TITLE
) -> Line:
    if not musts:
        return line()
    parts = [line(prospect_mark(o.prospect), f" {_title(o, longest_title)}", *says(o)) for o in musts]
    return line(Span("must ", "dim"), *_joined(parts, "  "))


def _title(outlook: Outlook, limit: int) -> str:
    return foreign(outlook.judgement.title, limit)


def _value(outlook: Outlook) -> Iterable[Span]:
    """The value beside its limit, and when it will be there."""
    yield from _value_now(outlook)
    if outlook.prospect == "at risk" and outlook.crossing_step is not None:
        yield Span(f" at step {outlook.crossing_step:,.0f}?", "warning")


def _value_now(outlook: Outlook) -> Iterable[Span]:
    judgement = outlook.judgement
    value, limit = judgement.decisive_value, judgement.limit
    if value is None or limit is None:
        return
    unit = judgement.unit
    number = value_beside_limit(value, limit, unit, of=judgement.when).removesuffix(f" {unit}" if unit else "")
    tone: Tone = PROSPECT_MARKS[outlook.prospect][1] if outlook.prospect in _TROUBLED else "plain"
    yield Span(f" {number} ", tone)
    yield Span(limit_text(judgement.operator, limit, unit, of=judgement.when, value=value), "dim")


def _margin(outlook: Outlook) -> Iterable[Span]:
    """How far it is from the limit, of the limit."""
    margin = outlook.judgement.margin
    if margin is not None and math.isfinite(margin) and outlook.judgement.decisive_value is not None:
        tone: Tone = PROSPECT_MARKS[outlook.prospect][1] if outlook.prospect in _TROUBLED else "dim"
        yield Span(f" {margin * 100:+.0f} %".replace("-", "−"), tone)


def _value_and_margin(outlook: Outlook) -> Iterable[Span]:
    """The value and its margin, without the limit that both follow from; in trouble with the limit."""
    if outlook.prospect in _TROUBLED:
        yield from (*_value(outlook), *_margin(outlook))
    elif margin := tuple(_margin(outlook)):
        yield from (*tuple(_value_now(outlook))[:1], Span(margin[0].text.lstrip(), margin[0].tone))


def _margin_alone(outlook: Outlook) -> Iterable[Span]:
    """The margin without the value; of what is in trouble, both."""
    return _value_and_margin(outlook) if outlook.prospect in _TROUBLED else _margin(outlook)


def _value_in_trouble(outlook: Outlook) -> Iterable[Span]:
    return _value(outlook) if outlook.prospect in _TROUBLED else ()


_FULLER: tuple[Callable[[Outlook], Iterable[Span]], ...] = (
    lambda outlook: (*_value(outlook), *_margin(outlook)),
    _value_and_margin,
    _margin_alone,
    _value,
    _value_in_trouble,
)
"""What is said of every must, the most first."""


def _alarms_and_rest(outlooks: Sequence[Outlook], rollback_key: str) -> tuple[list[Line], list[Line]]:
    """The alarms that have fired, and all else that is no must."""
    aborts, rollbacks = _of_kind(outlooks, "abort"), _of_kind(outlooks, "rollback")
    fired = [_fired("abort", aborts), _fired("rollback", rollbacks, rollback_key)]
    quiet = [_quiet("abort", aborts), _quiet("rollback", rollbacks)]
    return fired, [_nices(_of_kind(outlooks, "nice")), *quiet, _findings(_of_kind(outlooks, "scenario"))]


def _nices(nices: Sequence[Outlook]) -> Line:
    if not nices:
        return line()
    passing = sum(outlook.prospect in ("passing", "at risk") for outlook in nices)
    mark = "passing" if passing == len(nices) else "failed" if _any(nices, "failed") else "pending"
    sign = PROSPECT_MARKS[mark][0]  # type: ignore[index]  # one of three prospects
    return line(Span("nice ", "dim"), Span(sign, "good" if mark == "passing" else "dim"), f" {passing} of {len(nices)}")


def _fired(word: str, alarms: Sequence[Outlook], key: str = "") -> Line:
    """What has fired, by name, and the key that opens what to do."""
    fired = [outlook for outlook in alarms if outlook.prospect == "fired"]
    if not fired:
        return line()
    names = ", ".join(foreign(outlook.judgement.id, 24) for outlook in fired[:3])
    opens = (Span(" press ", "dim"), Span(foreign(key, 12), "accent", is_bold=True)) if key else ()
    return line(Span(f"{word} ▲ {names}", "bad", is_bold=True), *opens)


def _quiet(word: str, alarms: Sequence[Outlook]) -> Line:
    """What is near to firing, by name."""
    if not alarms or _any(alarms, "fired"):
        return line()
    near = [outlook for outlook in alarms if outlook.prospect == "at risk"]
    if near:
        names = ", ".join(foreign(outlook.judgement.id, 24) for outlook in near[:2])
        return line(Span(f"{word} ", "dim"), Span(f"◔ {names}", "warning"))
    return line(Span(f"{word} ", "dim"), Span("✔", "good"), " clear")


def _findings(scenarios: Sequence[Outlook]) -> Line:
    fired = sum(outlook.prospect == "fired" for outlook in scenarios)
    return line(Span(f"▲ {fired} {'finding' if fired == 1 else 'findings'}", "warning")) if fired else line()


def _any(outlooks: Iterable[Outlook], prospect: Prospect) -> bool:
    return any(outlook.prospect == prospect for outlook in outlooks)
