"""What each fault of the system this project grew from costs: `seed_pairs` with one of them mended at a time.

    python benchmarks/seed_faults.py --data grid-pairs-50k.jsonl.gz                 # prints the commands
    python benchmarks/seed_faults.py --data grid-pairs-50k.jsonl.gz --runs DIR      # runs them, then prints the table
    python benchmarks/seed_faults.py --with-dropout RUN [RUN …]

The last looks at a run's newest checkpoint twice: as every validation here does, and with dropout on the online and the
target side, as the seed's validation did. Ranks grow by that noise, and so does the loss.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs
import torch
import torch.nn.functional as F
from torch import nn

from jepa_core.engine.device import choose_compute
from jepa_core.engine.objective import declared_views
from jepa_core.engine.representation import effective_rank, rank_by_cosine
from jepa_core.engine.retrieval import CandidateList, figures_of
from jepa_core.engine.stored_model import choose_checkpoint, load_model
from jepa_core.facts import DatasetFacts
from jepa_core.recipes.reading import load_recipe
from jepa_core.registry import installed
from jepa_core.run_directory.layout import RECIPE
from jepa_core.run_directory.reading import RunReader

FIGURES = ("val.loss.total", "val.retrieval.mrr", "rank.context", "rank.target", "vq.recent_usage", "loss.relational")


@attrs.frozen
class Mended:
    """A fault, by its number in the list of faults, and the settings without it."""

    faults: str
    what: str
    settings: tuple[str, ...]


MENDED = (
    Mended("–", "as it was", ()),
    Mended("1", "one context grid instead of three copies", ("data.context_length=1",)),
    Mended("2", "commitment reaches the objective", ("quantizer.commitment=0.15",)),
    Mended("5", "SIGReg on embeddings of their own length", ("losses.sigreg.kind=sigreg",)),
    Mended("6", "relational loss whatever scale and order", ("losses.relational.kind=relational",)),
    Mended("7", "a limit that catches outliers alone", ("train.clip_norm=100",)),
    Mended("8", "at most 8 codes replaced at a time", ("quantizer.refresh_every=20", "quantizer.refresh_at_most=8")),
    Mended("10", "a predictor, no ReLU at the end", ("predictor.kind=mlp", "projector.final_relu=false")),
    Mended("11", "one column per colour, numbers within 0–1", ("encoder.one_column_per_colour=true",)),
    Mended("13", "dead below 1 % of the mean use", (f"quantizer.refresh_below={0.01 / 768:.3g}",)),
    Mended(
        "8, 13",
        "both",
        ("quantizer.refresh_every=20", "quantizer.refresh_at_most=8", f"quantizer.refresh_below={0.01 / 768:.3g}"),
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the 50,000 pairs, JSONL or .jsonl.gz")
    parser.add_argument("--runs", type=Path, help="run all, in this folder")
    parser.add_argument(
        "--set", dest="settings", action="append", default=[], help="for every run, such as train.epochs=5"
    )
    parser.add_argument("--with-dropout", type=Path, nargs="+", metavar="RUN", help="look at runs with dropout, too")
    options = parser.parse_args()
    if options.with_dropout:
        for run in options.with_dropout:
            _print_with_dropout(run)
    elif options.data is None:
        parser.error("--data is needed for the commands, --with-dropout for runs that there are")
    else:
        commands = {mended: _command(mended, options.data, options.settings) for mended in MENDED}
        if options.runs is None:
            sys.stdout.writelines(f"{shlex.join(command)}\n" for command in commands.values())
        else:
            _run_all(commands, options.runs)


def _command(mended: Mended, data: Path, settings: Sequence[str]) -> list[str]:
    recipe = Path(__file__).parents[1] / "recipes" / "seed_pairs.toml"
    given = [f"data.path={data}", "train.compile=true", *settings, *mended.settings]
    return ["jepa", "run", str(recipe), "--no-audit", *(f"--set={setting}" for setting in given)]


def _run_all(commands: Mapping[Mended, Sequence[str]], folder: Path) -> None:
    sys.stdout.write("| fault | mended | " + " | ".join(FIGURES) + " |\n" + "| --- " * (2 + len(FIGURES)) + "|\n")
    for number, (mended, command) in enumerate(commands.items()):
        runs = folder / f"{number:02}"
        # A regression, or an abort, is a result as any other.
        subprocess.run([*command, f"--runs-dir={runs}"], check=False, stdout=subprocess.DEVNULL)
        newest: dict[str, float] = {}
        for row in RunReader(next(runs.iterdir())).rows():
            newest |= {name: row[name] for name in FIGURES if name in row}
        figures = " | ".join(f"{newest[name]:.3f}" if name in newest else "–" for name in FIGURES)
        sys.stdout.write(f"| {mended.faults} | {mended.what} | {figures} |\n")
        sys.stdout.flush()


@torch.no_grad()
def _print_with_dropout(run: Path) -> None:
    """Loss, retrieval and ranks over the validation split, without dropout and with it."""
    recipe = load_recipe(run / RECIPE, registry=installed()).recipe
    compute = choose_compute("auto", recipe.train.precision)
    model = load_model(recipe, choose_checkpoint(RunReader(run), "newest").checkpoint, compute.device)
    dataset = recipe.data.build(DatasetFacts(seed=recipe.train.seed))
    observations = dataset.validation.observations.to(compute.device)
    candidates = CandidateList(dataset.space, observations)
    views = declared_views(model.objective.losses)
    for name, has_dropout in (("without dropout", False), ("with dropout", True)):
        torch.manual_seed(0)
        model.objective.eval()
        for module in model.objective.modules():
            module.training = has_dropout and not isinstance(module, nn.ModuleDict)
        totals, z_context, z_target = [], [], []
        for batch in observations.split(recipe.train.batch_size):
            with compute.autocast():
                outcome = model.objective(batch, {view: transform(batch) for view, transform in views.items()})
            totals.append(float(outcome.total))
            z_context.append(F.normalize(outcome.forward.z_context.float(), dim=-1))
            z_target.append(F.normalize(outcome.forward.z_target.float(), dim=-1))
        context, target = torch.cat(z_context), torch.cat(z_target)
        ranks = rank_by_cosine(context, target[candidates.representatives], candidates.positive)
        sys.stdout.write(
            f"{run.name}, {name}: total {sum(totals) / len(totals):.3f}, MRR {figures_of(ranks).mrr:.3f}, "
            f"ranks {float(effective_rank(context)):.1f} / {float(effective_rank(target)):.1f}\n"
        )


if __name__ == "__main__":
    main()
