"""Pictures of docs/what-can-go-wrong.md: `python docs/make_failure_pictures.py [NAME …]` trains and draws them anew.

Each is two or three small runs on moving digits, on a CPU, a minute in all for each picture. What is drawn is what the
runs recorded.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import matplotlib as mpl

import jepa_core as jepa

mpl.use("svg")
from matplotlib import pyplot

IMAGES = Path(__file__).parent / "images"
COLOURS = ("#0072b2", "#d55e00", "#009e73")
"""Of Okabe and Ito: readers tell them apart whatever colours they see."""

BASE: dict[str, Any] = {
    "data": {"kind": "moving_digits", "side": 12, "noise": 0.2, "num_sequences": 1500, "validation_share": 0.2},
    "encoder": {"kind": "convnet", "dim": 32, "stages": 2},
    "aggregator": {"kind": "attention_pool", "layers": 1},
    "optimizer": {"lr": 2e-3},
    "train": {"epochs": 20, "batch_size": 64},
    "diagnostics": {"log_every_steps": 5, "every_steps": 10, "sample": 256, "validate_every_epochs": 2},
    "checkpoint": {"every_epochs": 100},
}
CONTRAST = {"info_nce": {"temperature_min": 0.02}}
PULL = {"vicreg": {"variance": 0.0, "covariance": 0.0}}


@attrs.frozen(kw_only=True)
class Panel:
    """One chart: a metric over epochs, of all runs of the picture."""

    metric: str
    title: str
    log: bool = False
    beside: str = ""
    """A metric of the last run that is drawn dashed beside it."""
    beside_label: str = ""


@attrs.frozen(kw_only=True)
class Picture:
    """Runs by what the legend calls them, and the charts that are drawn of them."""

    runs: Mapping[str, Mapping[str, Any]]
    panels: Sequence[Panel]


PICTURES = {
    "collapse": Picture(
        runs={
            "pull alone": {"losses": PULL},
            "pull and SIGReg": {"losses": {**PULL, "sigreg": {"slices": 256}}},
            "contrast (InfoNCE)": {"losses": CONTRAST},
        },
        panels=(
            Panel(metric="align", title="distance to the target (align)", log=True),
            Panel(metric="std.context", title="spread (std.context)"),
            Panel(metric="val.retrieval.mrr", title="MRR on validation", beside="val.retrieval.null_mrr",
                  beside_label="strongest null"),
        ),
    ),
    "codebook": Picture(
        runs={
            "dead codes stay dead": {
                "losses": CONTRAST,
                "quantizer": {"kind": "ema_vq", "codes": 256, "initial": "data", "revive_at_most": 0, "decay": 0.8},
                "optimizer": {"lr": 4e-3},
            },
            "dead codes are revived": {
                "losses": CONTRAST,
                "quantizer": {"kind": "ema_vq", "codes": 256, "revive_every": 5, "decay": 0.8},
                "optimizer": {"lr": 4e-3},
            },
        },
        panels=(
            Panel(metric="vq.usage", title="codes in use, share"),
            Panel(metric="vq.perplexity", title="perplexity of codes"),
            Panel(metric="val.retrieval.mrr", title="MRR on validation"),
        ),
    ),
    "takes-over": Picture(
        runs={
            "raw distances": {"losses": {**CONTRAST, "relational": {"normalized": False, "weight": 0.02}}},
            "normalized distances": {"losses": {**CONTRAST, "relational": {"weight": 0.02}}},
        },
        panels=(
            Panel(metric="loss.relational", title="relational loss, weighted", log=True),
            Panel(metric="grad.share.relational", title="its share of the gradient"),
            Panel(metric="val.retrieval.mrr", title="MRR on validation"),
        ),
    ),
    "null": Picture(
        runs={
            "digits come in on the other side": {"losses": CONTRAST, "data": {"edges": "wrap", "noise": 0.0}},
        },
        panels=(
            Panel(metric="loss.total", title="loss"),
            Panel(metric="val.loss.total", title="loss on validation"),
            Panel(metric="val.retrieval.mrr", title="MRR on validation", beside="val.retrieval.null_mrr",
                  beside_label="strongest null"),
        ),
    ),
}  # fmt: skip


def merged(table: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The table with the changes' values, table by table."""
    result = dict(table)
    for key, value in changes.items():
        is_table = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merged(result[key], value) if is_table else value
    return result


def trained(picture: Picture, folder: Path) -> dict[str, Any]:
    """The metrics of each run."""
    recorded = {}
    for number, (label, changes) in enumerate(picture.runs.items()):
        recipe = merged({"name": f"run-{number}", **BASE}, changes)
        run = jepa.train(recipe, device="cpu", runs_dir=folder, audit=False)
        print(f"  {label}: {run.verdict.outcome if run.verdict else run.state}")
        recorded[label] = run.metrics
    return recorded


def drawn(picture: Picture, recorded: Mapping[str, Any], path: Path) -> None:
    """The charts beside each other, with one legend below."""
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "jepa", "font.size": 9, "font.family": "sans-serif"})
    figure, axes = pyplot.subplots(
        1, len(picture.panels), figsize=(3.2 * len(picture.panels), 2.6), layout="constrained"
    )
    for axis, panel in zip(axes, picture.panels, strict=True):
        for (label, metrics), colour in zip(recorded.items(), COLOURS, strict=False):
            _line(axis, metrics, panel.metric, color=colour, label=label)
        if panel.beside:
            _line(axis, metrics, panel.beside, color="#555555", label=panel.beside_label, linestyle="--")
        axis.set_title(panel.title, fontsize=9)
        axis.set_xlabel("epoch")
        axis.spines[["top", "right"]].set_visible(False)
        if panel.log:
            axis.set_yscale("log")
        else:
            axis.set_ylim(bottom=0)
    named = {}
    for axis in axes:
        named.update(dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True)))
    figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=len(named), frameon=False)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def _line(axis: Any, metrics: Any, name: str, **style: Any) -> None:
    steps, values = metrics.series(name)
    epochs = dict(zip(*metrics.series("step"), strict=True)) and dict(
        zip(metrics["step"], metrics["epoch"], strict=True)
    )
    axis.plot([epochs[step] for step in steps], values, linewidth=1.6, **style)
    print(f"    {name}: {values[0]:.4g} → {values[-1]:.4g} (lowest {min(values):.4g}, highest {max(values):.4g})")


def main() -> None:
    """Draw the pictures that are named, or all."""
    IMAGES.mkdir(exist_ok=True)
    for name in sys.argv[1:] or PICTURES:
        print(name)
        with tempfile.TemporaryDirectory() as folder:
            recorded = trained(PICTURES[name], Path(folder))
        drawn(PICTURES[name], recorded, IMAGES / f"{name}.svg")


if __name__ == "__main__":
    main()
