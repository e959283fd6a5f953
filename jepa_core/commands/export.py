"""`jepa export RUN`: the encoder of a checkpoint as a file that is used without this package."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from jepa_core.commands.flag import Flag
from jepa_core.commands.options import Force, NoPlugins, Overrides, PluginFiles, RunsDir, Step
from jepa_core.run_directory.naming import LATEST, RUNS_DIR, find_run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jepa_core.engine.exporting import Exported, TensorForm


def export(
    run: str = LATEST,
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    part: Literal["online", "target"] = "online",
    step: Step = "",
    overrides: Overrides = (),
    force: Force = False,
    runs_dir: RunsDir = RUNS_DIR,
    plugin: PluginFiles = (),
    no_plugin: NoPlugins = (),
    json: Flag = False,
) -> None:
    """Write a checkpoint's encoder to a file that is used without this package: observations in, tokens out.

    For example: jepa export latest -o encoder.pt2

    What was written is read back and compared with the encoder on observations of the run's validation data; it stays
    only if its tokens are the same. Nothing changes in the run.

    Parameters
    ----------
    run
        A run directory, the start of a run's name or the time in it, or latest; the newest run when not given.
    output
        The file: .pt2 for torch.export, which needs torch alone, or .onnx for ONNX: pip install 'jepa-core[onnx]'.
    part
        The encoder that was trained, online, or its moving average, target.
    overrides
        KEY=VALUE for data.*, such as data.path=grids.jsonl.gz, to compare on other observations; may be repeated.
    json
        Print everything as JSON.

    Raises
    ------
    JepaError
        The run, a flag, the checkpoint or the data is at fault, or the encoder does not fit the format.
    """
    path = find_run(run, runs_dir)
    from jepa_core.engine.exporting import check_export, export_encoder

    check_export(output, force=force)
    from jepa_core.registry import chosen_plugins

    registry = chosen_plugins(plugin, no_plugin)

    import attrs

    from jepa_core.engine.opened_run import open_run
    from jepa_core.json_text import print_json
    from jepa_core.presentation.terminal import console_for
    from jepa_core.recorded_numbers import encode

    in_full_precision = (*overrides, "train.precision=fp32")
    opened = open_run(path, overrides=in_full_precision, step=step, device="cpu", registry=registry)
    with console_for(sys.stderr).status(f"writing {output.name} and comparing it with the encoder"):
        exported = export_encoder(opened, output, part=part, force=force)
    if json:
        plain = encode(attrs.asdict(exported) | {"path": str(exported.path)})
        print_json(plain)
    else:
        for line in _lines(exported):
            console_for().print(line, soft_wrap=True)


def _lines(exported: Exported) -> Iterator[str]:
    from jepa_core.figures import figure_text
    from jepa_core.visible_text import clean

    contents, parity = exported.contents, exported.parity
    why = f" ({clean(exported.why.partition(', ')[0])})" if exported.why else ""
    yield f"{clean(contents.run)} · step {contents.step}, epoch {figure_text(contents.epoch)}{why}"
    yield from (f"  · {clean(note)}" for note in exported.notes)
    yield f"{exported.path} · {exported.num_bytes / 1000:,.0f} kB · {contents.part} encoder {clean(contents.encoder)}"
    yield f"  takes    {_tensors(contents.inputs)}"
    yield f"  gives    {_tensors(contents.outputs)}"
    if parity is None:
        yield f"  not compared with the encoder: {exported.runs_with}, which runs such a file, is not installed"
    else:
        *sizes, largest = parity.batch_sizes
        yield (
            f"  compared with the encoder on {parity.num_observations} validation observations, in batches of "
            f"{', '.join(map(str, sizes))} and {largest}:"
        )
        differ = parity.largest_difference
        yield f"  tokens differ by {differ:.1e} at most, masks are equal" if differ else "  tokens and masks are equal"


def _tensors(forms: tuple[TensorForm, ...]) -> str:
    from jepa_core.visible_text import clean

    return " · ".join(f"{clean(form.name)} ({', '.join(map(str, form.shape))}) {form.dtype}" for form in forms)
