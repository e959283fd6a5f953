"""`jepa embed RUN -o FILE`: what a trained model makes of data, as arrays in a file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from jepa_core.commands.flag import Flag
from jepa_core.commands.options import Device, Force, NoPlugins, Overrides, PluginFiles, RunsDir, Step
from jepa_core.run_directory.naming import LATEST, RUNS_DIR, find_run

if TYPE_CHECKING:
    from rich.text import Text

    from jepa_core.engine.checkpoint_embedding import EmbeddedRun


def embed(
    run: str = LATEST,
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    overrides: Overrides = (),
    split: str = "all",
    arrays: str = "state,prediction,target",
    step: Step = "",
    device: Device = "auto",
    runs_dir: RunsDir = RUNS_DIR,
    force: Force = False,
    plugin: PluginFiles = (),
    no_plugin: NoPlugins = (),
    json: Flag = False,
) -> None:
    """Embed a run's data, or other, and write arrays of every sequence beside its task, split and labels.

    For example: jepa embed latest -o embeddings.npz --split validation

    Memory holds the data and a batch of embeddings. Nothing is trained, and nothing changes in the run.

    Parameters
    ----------
    run
        A run directory, the start of a run's name or the time in it, or latest; the newest run when not given.
    output
        Ends in .npz (numpy), .safetensors or .parquet (pandas, with pyarrow).
    overrides
        KEY=VALUE for data.*, train.precision and train.batch_size, such as data.path=grids.jsonl.gz; may be repeated.
    split
        train, validation, or all: both, told apart by the array split.
    arrays
        Apart by commas: state, prediction and target are embeddings of a sequence; tokens, mask and codes are of every
        token of its context, and take many times as much.
    json
        Print what was written as JSON.

    Raises
    ------
    JepaError
        The run, a flag, the checkpoint, the data or the output is at fault. Nothing half-written remains.
    """
    path = find_run(run, runs_dir)
    from jepa_core.engine.embedding_files import check_embeddings

    check_embeddings(output, replace=force)
    from jepa_core.registry import chosen_plugins

    registry = chosen_plugins(plugin, no_plugin)

    import attrs

    from jepa_core.engine.checkpoint_embedding import embed_run
    from jepa_core.engine.opened_run import open_run
    from jepa_core.json_text import print_json
    from jepa_core.presentation.terminal import console_for, progress_on
    from jepa_core.recorded_numbers import encode

    opened = open_run(path, overrides=overrides, step=step, device=device, registry=registry)
    names = tuple(filter(None, map(str.strip, arrays.split(","))))
    with progress_on(console_for(sys.stderr), "embedding", "sequences") as progress:
        written = embed_run(opened, output, split=split, names=names, replace=force, progress=progress)
    if json:
        plain = encode({**attrs.asdict(written), "path": str(written.path)})
        print_json(plain)
    else:
        for line in _lines(written):
            console_for().print(line, soft_wrap=True)


def _lines(written: EmbeddedRun) -> list[Text]:
    from rich.text import Text

    from jepa_core.presentation.checkpoint_line import checkpoint_line
    from jepa_core.presentation.quantity import bytes_text
    from jepa_core.visible_text import clean

    size = bytes_text(written.num_bytes)
    head = checkpoint_line(
        run=written.run, step=written.step, why=written.why, device=written.device, data=written.data
    )
    lines = [head, Text(f"{written.num_sequences:,} sequences → {written.path} ({size})", style="bold")]
    lines += [Text(f"  · {clean(note)}", style="dim") for note in written.notes]
    width = max(map(len, written.shapes))
    lines += [Text(f"  {clean(name):{width}}  {' × '.join(map(str, shape))}") for name, shape in written.shapes.items()]
    return lines
