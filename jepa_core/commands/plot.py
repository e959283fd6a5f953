"""`jepa plot RUN -o FILE`: a picture of a trained model's embeddings."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from jepa_core.commands.options import Device, Force, NoPlugins, Overrides, PluginFiles, RunsDir, Step
from jepa_core.run_directory.naming import LATEST, RUNS_DIR, find_run

if TYPE_CHECKING:
    from rich.text import Text

    from jepa_core.engine.checkpoint_map import RunMap


def plot(
    run: str = LATEST,
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    overrides: Overrides = (),
    split: str = "validation",
    array: str = "prediction",
    label: Annotated[str, Parameter(show_default=False)] = "",
    method: Annotated[str, Parameter(name="--map")] = "pca",
    neighbours: int = 6,
    step: Step = "",
    device: Device = "auto",
    runs_dir: RunsDir = RUNS_DIR,
    force: Force = False,
    plugin: PluginFiles = (),
    no_plugin: NoPlugins = (),
) -> None:
    """Draw a model's embeddings: sequences on a plane, coloured by a label, and whom the model takes for alike.

    For example: jepa plot latest -o map.png

    Nothing is trained, and nothing changes in the run.

    Parameters
    ----------
    run
        A run directory, the start of a run's name or the time in it, or latest; the newest run when not given.
    output
        Ends in .png, .pdf or .svg.
    overrides
        KEY=VALUE for data.*, train.precision and train.batch_size, such as data.path=grids.jsonl.gz; may be repeated.
    split
        validation or train; of more than 5,000 sequences as many are drawn, evenly chosen.
    array
        prediction, state or target.
    label
        A label of the data, or task, of 2 to 20 classes or of numbers; the first of 2 to 20 classes when not given.
    method
        pca: the plane of the largest variance; or umap, which keeps neighbourhoods together and needs umap-learn.
    neighbours
        Rows of a sequence and its nearest of other tasks, where the data can be drawn; 0 leaves them out.

    Raises
    ------
    JepaError
        The run, a flag, the checkpoint, the data or the output is at fault. Nothing half-written remains.
    """
    path = find_run(run, runs_dir)
    from jepa_core.presentation.embedding_plot import check_picture, draw_map

    check_picture(output, replace=force)
    from jepa_core.registry import chosen_plugins

    registry = chosen_plugins(plugin, no_plugin)

    from jepa_core.engine.checkpoint_map import map_run
    from jepa_core.engine.opened_run import open_run
    from jepa_core.presentation.terminal import console_for, progress_on

    opened = open_run(path, overrides=overrides, step=step, device=device, registry=registry)
    with progress_on(console_for(sys.stderr), "embedding", "sequences") as progress:
        run_map = map_run(
            opened, split=split, array=array, label=label, method=method, num_rows=neighbours, progress=progress
        )
    draw_map(run_map, output)
    for line in _lines(run_map, output):
        console_for().print(line, soft_wrap=True)


def _lines(run_map: RunMap, output: Path) -> list[Text]:
    from rich.text import Text

    from jepa_core.presentation.checkpoint_line import checkpoint_line
    from jepa_core.presentation.quantity import bytes_text
    from jepa_core.visible_text import clean

    size = bytes_text(output.stat().st_size)
    return [
        checkpoint_line(run=run_map.run, step=run_map.step, why=run_map.why, device=run_map.device, data=run_map.data),
        Text(f"{len(run_map.plane.points):,} {run_map.array}s → {output} ({size})", style="bold"),
        *(Text(f"  · {clean(note)}", style="dim") for note in run_map.notes),
        Text(f"  {clean(_colours(run_map))}"),
    ]


def _colours(run_map: RunMap) -> str:
    """What points are coloured by, or why by nothing, and what else there is where there is a choice."""
    reason = run_map.why_no_colours
    by = f"without colours: {reason}" if reason or not run_map.colouring else f"coloured by {run_map.colouring.label}"
    return f"{by}; --label takes {', '.join(run_map.labels)}" if len(run_map.labels) > 1 else by
