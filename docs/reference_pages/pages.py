"""All generated pages: where each stands in the site, and what writes it."""

from __future__ import annotations

from collections.abc import Callable

from docs.reference_pages import program, recipes, watching
from jepa_core.registry import installed

PAGES: dict[str, Callable[[], str]] = {
    "reference/recipes.md": recipes.recipes_page,
    "reference/components.md": lambda: recipes.components_page(installed()),
    "reference/nulls.md": lambda: recipes.nulls_page(installed()),
    "reference/rules.md": watching.rules_page,
    "reference/metrics.md": lambda: watching.metrics_page(installed()),
    "reference/scenarios.md": lambda: watching.scenarios_page(installed()),
    "reference/events.md": watching.events_page,
    "reference/commands.md": program.commands_page,
    "reference/keys.md": program.keys_page,
    "reference/run-directory.md": program.run_directory_page,
    "reference/python.md": program.python_page,
    "reference/plugin-contract.md": program.plugin_contract_page,
}
"""Path below docs/ → a function that gives the page's Markdown."""
