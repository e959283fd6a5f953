"""`jepa eval RUN`: what a checkpoint is worth, on the run's validation data or on other data."""

from __future__ import annotations

from jepa_core.commands.flag import Flag
from jepa_core.commands.options import Device, NoPlugins, Overrides, PluginFiles, RunsDir, Step
from jepa_core.run_directory.naming import LATEST, RUNS_DIR, find_run


def evaluate(
    run: str = LATEST,
    /,
    *,
    overrides: Overrides = (),
    step: Step = "",
    device: Device = "auto",
    runs_dir: RunsDir = RUNS_DIR,
    plugin: PluginFiles = (),
    no_plugin: NoPlugins = (),
    json: Flag = False,
) -> None:
    """Evaluate a checkpoint on the run's validation data or on other data. Trains nothing, changes nothing in the run.

    For example: jepa eval latest --step newest

    Retrieval stands beside the strongest null, a method that learns nothing, and nearest-neighbour and linear probes
    for the data's labels beside raw observations, the untrained network and always guessing the largest class.

    Parameters
    ----------
    run
        A run directory, the start of a run's name or the time in it, or latest; the newest run when not given.
    overrides
        KEY=VALUE for data.*, train.precision and train.batch_size, such as data.path=grids.jsonl.gz; may be repeated.
        Of other data the validation split is looked at.
    json
        Print everything as JSON.

    Raises
    ------
    JepaError
        The run, a flag, the checkpoint or the data is at fault, or does not fit the weights.
    """
    path = find_run(run, runs_dir)
    from jepa_core.registry import chosen_plugins

    registry = chosen_plugins(plugin, no_plugin)

    import attrs

    from jepa_core.engine.checkpoint_evaluation import evaluate_run
    from jepa_core.json_text import print_json
    from jepa_core.presentation.evaluation_table import evaluation_table
    from jepa_core.presentation.terminal import console_for
    from jepa_core.recorded_numbers import encode

    evaluation = evaluate_run(path, overrides=overrides, step=step, device=device, registry=registry)
    if json:
        plain = encode(attrs.asdict(evaluation))
        print_json(plain)
    else:
        console_for().print(evaluation_table(evaluation), crop=False)
