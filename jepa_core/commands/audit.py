"""`jepa audit RECIPE`: what cannot matter, what is connected to nothing, and what a run would cost."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import Parameter

from jepa_core.commands.flag import Flag
from jepa_core.commands.options import Device, NoPlugins, Overrides, PluginFiles

CRITICAL_FOUND = 4


def audit(
    recipe: Annotated[str, Parameter(show_default=False)],
    /,
    *,
    overrides: Overrides = (),
    device: Device = "auto",
    plugin: PluginFiles = (),
    no_plugin: NoPlugins = (),
    json: Flag = False,
    brief: Flag = False,
) -> int:
    """Look at a recipe and its data before training: what cannot matter, what is connected to nothing, what it costs.

    For example: jepa audit quickstart

    On a few real batches and three optimizer steps every part is replaced by something trivial, every loss is left out
    and every number is moved by 20 %. Nothing is written.

    Exit codes: 0 no critical finding, 4 a critical finding, 1 the program failed, 2 usage or recipe error.

    Parameters
    ----------
    recipe
        A file, or the name of a recipe (see jepa recipe list).
    overrides
        KEY=VALUE, such as train.epochs=3; may be repeated.
    json
        Print everything as JSON.
    brief
        Only the checks that every run begins with.

    Raises
    ------
    JepaError
        The recipe, a flag or the data is at fault.
    """
    from jepa_core.registry import chosen_plugins

    registry = chosen_plugins(plugin, no_plugin)

    import attrs

    from jepa_core.audit.auditing import audit_recipe
    from jepa_core.audit.brief import brief_audit
    from jepa_core.engine.affordable import trainable_dataset
    from jepa_core.engine.component_faults import component_faults_told
    from jepa_core.engine.dataset import reading_stage
    from jepa_core.engine.device import choose_compute
    from jepa_core.json_text import print_json
    from jepa_core.presentation.at_work import at_work
    from jepa_core.presentation.audit_table import audit_table, findings_list
    from jepa_core.presentation.terminal import console_for
    from jepa_core.recipes.reading import load_recipe
    from jepa_core.recipes.recipe_path import find_recipe

    loaded = load_recipe(find_recipe(recipe), overrides=overrides, registry=registry).recipe
    compute = choose_compute(device, loaded.train.precision)
    with at_work(console_for(sys.stderr), reading_stage(loaded)) as work, component_faults_told(loaded, registry):
        dataset = trainable_dataset(loaded, compute)
        if brief:
            work.say("a brief look at the parts")
            findings = brief_audit(loaded, dataset, compute)
            plain, shown = {"findings": [attrs.asdict(finding) for finding in findings]}, findings_list(findings)
        else:
            whole = audit_recipe(loaded, dataset, compute, work.say)
            findings = whole.findings
            plain, shown = attrs.asdict(whole), audit_table(whole)
    if json:
        print_json(plain)
    else:
        console_for().print(shown, crop=False)
    return CRITICAL_FOUND if any(finding.severity == "critical" for finding in findings) else 0
