"""The rule language, all metrics, all scenarios and all kinds of events."""

from __future__ import annotations

import re
import typing
from collections.abc import Iterator
from pathlib import Path

from docs.reference_pages.markdown import block, code, table, text
from docs.reference_pages.recipes import built_in, fields_table, metrics_table
from jepa_core.hookspecs import FAMILIES
from jepa_core.metrics import ENGINE_METRICS, Metric, loss_metrics, part_metrics
from jepa_core.recipes.declared_metrics import PARTS, declared_metrics
from jepa_core.recipes.field_descriptions import describe_fields
from jepa_core.recipes.reading import load_recipe
from jepa_core.recipes.recipe_path import described_recipes
from jepa_core.recipes.scenarios import expand_scenarios
from jepa_core.registry import Registry
from jepa_core.watch.expressions import CLOCKS, EPOCHS, FUNCTIONS
from jepa_core.watch.findings import Firing
from jepa_core.watch.history import MAX_WINDOW
from jepa_core.watch.language import MAX_DEPTH, MAX_LENGTH, parse_rule
from jepa_core.watch.rules import Scenario

OUTCOMES = Path(__file__).parents[1] / "outcomes.md"

OPERATORS = {
    "< <= > >= == !=": "val.retrieval.mrr >= 0.4",
    "a chain of comparisons": "0.05 < temperature < 0.2",
    "+ - * /": "val.hard.mrr - val.hard.null_mrr > 2 * 0.01 + 0.1 / 4",
    "- and + before a number": "val.retrieval.above_null > -0.01 and lr < +0.1",
    "and, or, not": "not finite(loss.total) or (vq.usage < 0.08 and epoch > 10)",
    "baseline.NAME": "val.retrieval.mrr > 0.9 * baseline.val.retrieval.mrr",
}
"""What there is beside functions, each with a rule that has it."""

EXAMPLES = {
    "median(grad.norm, 3) > 3 * median(grad.norm, 20, 3)": "the newest norms are three times what was usual before",
    "mean(vq.usage, 5) > 0.10": "a mean of five, so that one low value does not count",
    "epoch >= epochs - 0.1": "nearly all epochs are done, however many the recipe has",
    "fired('A') and fired('B')": "two other rules have fired",
    "val.retrieval.above_null_low > 0": "retrieval is above the strongest null beyond chance",
}

EVENTS = {
    "started": "training begins, with how many steps and where",
    "resumed": "an interrupted run goes on after a checkpoint's step",
    "rolled back from": "the run was made by a rollback: from which run and step, with which changes",
    "rolled back": "another run goes on from an earlier checkpoint of this one, which ends",
    "course changed": "a resume or rollback changed batch size, accumulation or ranks: what the learning rate follows",
    "compiling": "the step is being compiled, which takes about a minute",
    "not_compiled": "the step could not be compiled and runs as it is",
    "not_replayed": "the step cannot be captured as a CUDA graph, and is launched kernel by kernel",
    "checkpoint": "a checkpoint was written and verified",
    "checkpoint damaged": "a resume found a newer checkpoint that does not verify, and did not use it",
    "checkpoint failed": "a checkpoint could not be written; training goes on with the one before",
    "checkpoints not deleted": "old checkpoints could not be removed",
    "state not finite": "weights or other state are not finite, so no checkpoint was written",
    "non-finite": "a loss or gradient is not finite: the first bad tensor, its step and its rank",
    "skipped": "steps were skipped because a loss or gradient was not finite",
    "data moved": "a resumed run was told where its data lies now; it is what the run began with",
    "rows missing": "rows of figures that the run had written are no longer there",
    "events missing": "events that the run had written are no longer there",
    "lines lost": "somebody deleted or replaced a file of lines while the run went on: it goes on in a new one",
    "folder lost": "somebody deleted or replaced the run's folder of checkpoints or requests while it went on",
    "file deleted": "somebody deleted another file of the run while it went on: it is written again if it can be",
    "write failed": "a file of the run directory could not be written, such as on a full disk",
    "observer off": "an observer failed and is switched off; training is not concerned",
    "observer behind": "an observer is too slow, and rows were left out for it",
    "finished": "training ended: all epochs are done, or it stopped early",
    "aborted": "an abort rule or a non-finite value stopped the run",
    "interrupted": "a signal stopped the run, and a checkpoint is there",
    "failed": "the program failed, with the traceback as evidence where the fault is ours",
}
"""Name → when it is written. Rules that fire and findings of the audit have names of their own kinds beside these."""

FIRINGS = {
    "must": "a must can no longer hold",
    "nice": "a nice can no longer hold",
    "abort": "an abort rule fired: the run stops",
    "rollback": "a rollback rule fired: a flag, with what a rollback would change and its command, or why not",
    "scenario": "a scenario fired",
    "early stop": "validation no longer improves: the run finishes",
}
"""Kind of what fired → when. The event's name is the kind and the rule's id, such as `abort codes-gone`."""


def function_meanings() -> dict[str, str]:
    """Function of the rule language → what it is, as docs/outcomes.md says."""
    section = OUTCOMES.read_text(encoding="utf-8").partition("\n## Rules\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| `(.+?)` \| (.+) \|$", section, re.MULTILINE))


def rules_page() -> str:
    """The rule language: functions, operators, windows, clocks, limits."""
    meanings = function_meanings()
    functions = table(("function", "is"), ((code(form), meanings[form]) for form in FUNCTIONS))
    operators = table(("written", "such as"), ((code(sign), code(_parsed(rule))) for sign, rule in OPERATORS.items()))
    examples = table(("rule", "holds when"), ((code(_parsed(rule)), text(is_)) for rule, is_ in EXAMPLES.items()))
    clocks = ", ".join(code(name) for name in sorted(CLOCKS))
    return f"""# The rule language

A rule is one condition over a run's figures. Recipes have them as `when` of [musts, nices, aborts, rollbacks and
scenarios](recipes.md#watch); trainer, monitor and `jepa check` judge them alike. The names are those of
[metrics](metrics.md). A name that the recipe does not report is refused with its place.

## Functions

{functions}
## Operators

{operators}
## Windows

`n` is how many of the newest values are looked at, 1 to {MAX_WINDOW:,}; with `m`, the `n` values before the newest
`m`. A window that is not full yet says nothing: the rule is pending. A figure that is not a number makes a comparison
neither hold nor fail to.

## Clocks

{clocks} stand in every row. {code(EPOCHS)} is how many epochs the whole run has. Beside the rule, `after_epoch`,
`until_epoch` and `at_epoch` say when it is judged, and `for` how many evaluations in a row must hold.

## Examples

{examples}
A rule has at most {MAX_LENGTH:,} characters and is nested at most {MAX_DEPTH} deep.
"""


def metrics_page(registry: Registry) -> str:
    """Every metric that a row may hold."""
    own = {metric.name for metric in ENGINE_METRICS}
    also = sorted({metric.name for metric in _validated()} - own)
    parts = [_METRICS_INTRODUCTION, metrics_table(ENGINE_METRICS)]
    parts.append(f"On validation, too, with `val.` in front: {', '.join(map(code, also))}.\n")
    parts.append(
        "## Of every loss\n\nNAME is the table's name in the recipe; `quantizer` is the quantizer's own loss.\n"
    )
    parts.append(metrics_table(loss_metrics("NAME")))
    parts.append(f"## Of every part with weights\n\nPART is {', '.join(map(code, PARTS))}, or a loss's name.\n")
    parts.append(metrics_table(part_metrics("PART")))
    parts.append("## Of components\n")
    for family in FAMILIES:
        for name, component in built_in(registry, family).items():
            if component.config_class.metrics:
                parts.append(f"### {family} {code(name)}\n\n{metrics_table(component.config_class.metrics)}")
    parts.append(_METRICS_END)
    return "\n".join(parts)


_METRICS_INTRODUCTION = """# Metrics

The figures in `metrics.jsonl`, one row a line. A row of training comes after the first step and every
`diagnostics.log_every_steps`; figures of embeddings, codes and gradients every `diagnostics.every_steps`; those that
begin with `val.` after each validation. "Better" says which way; a metric with a direction can be judged, compared
and stopped on ([what is judged](../outcomes.md#what-is-judged)). A name that ends in `.*` stands for a group.

## Of the engine

"""
_METRICS_END = """## Of ranks

A run on several processes writes `metrics.rankN.jsonl` for each: its own loss, `time.step`, `time.data`, `time.wait`
and memory.
"""


def scenarios_page(registry: Registry) -> str:
    """Every scenario with its settings, and the rules that it makes of a recipe of this package."""
    expanded = _expanded(registry)
    parts = [_SCENARIOS_INTRODUCTION]
    for name, component in built_in(registry, "scenario").items():
        parts.append(f"## {code(name)} {{ #{name.replace('_', '-')} }}\n\n{text(component.summary)}.\n")
        fields = describe_fields(component.config_class)
        parts.append(fields_table(fields) if fields else "It has no settings.\n")
        for recipe, rule in expanded.get(name, ()):
            parts.append(_rule_of(recipe, rule))
    return "\n".join(parts)


_SCENARIOS_INTRODUCTION = """# Scenarios

What goes wrong with joint-embedding models, watched for in every run. A scenario that fires is a finding with advice;
the run goes on. All are on. A recipe changes one or switches it off:

```toml
[watch.scenarios]
order_ignored = false
codebook_collapse = { of_highest = 0.5 }
```

Each makes one or more rules that suit the recipe. Below every scenario stands what it comes to in a recipe of this
package; `jepa recipe show NAME` prints the settings, and a run's `recipe.toml` all rules. [Rules](rules.md) explains
the language.
"""


def events_page() -> str:
    """Every kind of event."""
    kinds = typing.get_args(typing.get_type_hints(Firing)["kind"])
    return "\n".join(
        [
            _EVENTS_INTRODUCTION,
            table(("name", "written when"), ((code(name), text(when)) for name, when in EVENTS.items())),
            "## Of rules\n\nThe name is the kind and the rule's id, such as `rollback B`. Evidence has the rule, the "
            "newest figures that show it, the first step that it can be seen at, and for a rollback the changes and "
            "the command.\n",
            table(("kind", "written when"), ((code(kind), text(FIRINGS[kind])) for kind in kinds)),
            "## Of the audit\n\nFindings of the look before training have names that begin with `audit `.\n",
        ]
    )


_EVENTS_INTRODUCTION = """# Events

What happened to a run, in order, in `events.jsonl`: a line each with `sequence`, `time` (seconds since 1970), `step`,
`epoch`, `severity` (`info`, `warning`, `critical`), `name`, `message`, `evidence` and `advice`. The monitor lists
them, and observers get them.

## Of a run
"""


def _parsed(rule: str) -> str:
    return parse_rule(rule).text


def _validated() -> tuple[Metric, ...]:
    """The engine's metrics of a recipe, with those that are measured on validation too."""
    path = described_recipes()["quickstart"][0]
    from jepa_core.registry import installed

    declared = declared_metrics(load_recipe(path, registry=installed()).recipe)
    base = {metric.name for metric in ENGINE_METRICS}
    return tuple(m for m in declared if m.name.startswith("val.") and m.name.removeprefix("val.") in base)


def _expanded(registry: Registry) -> dict[str, list[tuple[str, Scenario]]]:
    """Scenario → the rules that it makes of the first recipe in which it makes any, with the recipe's name."""
    found: dict[str, list[tuple[str, Scenario]]] = {}
    for recipe, rules in _rules_by_recipe(registry):
        fresh = [rule for rule in rules if rule.of not in found or found[rule.of][0][0] == recipe]
        for rule in fresh:
            found.setdefault(rule.of, []).append((recipe, rule))
    return found


def _rules_by_recipe(registry: Registry) -> Iterator[tuple[str, tuple[Scenario, ...]]]:
    recipes = described_recipes()
    for name in dict.fromkeys(("optimized", *sorted(recipes))):
        recipe = load_recipe(recipes[name][0], registry=registry).recipe
        yield name, expand_scenarios(recipe, registry)


def _rule_of(recipe: str, rule: Scenario) -> str:
    times = f", {rule.evaluations} times in a row" if rule.evaluations > 1 else ""
    after = f", after epoch {rule.after_epoch:g}" if rule.after_epoch else ""
    shown = block(rule.when)
    return (
        f"In `{recipe}`, as {code(rule.id)}, {rule.severity}{after}{times}: {text(rule.title)}.\n\n{shown}\n"
        f"{text(rule.advice)}\n"
    )
