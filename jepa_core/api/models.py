"""`jepa.load`: a trained model, and what it makes of observations, as arrays.

Shapes: S sequences, T observations of context, N tokens of an observation, D embedding dimension.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import torch

from jepa_core.api.arguments import PluginFiles, Step, device_text, names_of, registry_with, step_text
from jepa_core.api.given_observations import Given, observations_of
from jepa_core.api.process import undisturbed
from jepa_core.api.recipes import flags_of
from jepa_core.api.runs import RunLike, directory_of
from jepa_core.api.wording import in_python_words
from jepa_core.contracts import Observations, SequenceDataset, Sequences, Space
from jepa_core.engine.checkpoint_embedding import about_of, embedder_of
from jepa_core.engine.embedding import MEANINGS
from jepa_core.engine.embedding_files import Array, EmbeddingFile
from jepa_core.engine.objective import Objective
from jepa_core.engine.opened_run import OpenedRun, open_run
from jepa_core.errors import RecipeError
from jepa_core.recipes.layers import override_layers
from jepa_core.recipes.reading import load_recipe
from jepa_core.run_directory.layout import RECIPE
from jepa_core.run_directory.naming import LATEST, RUNS_DIR
from jepa_core.spaces import HasScales


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Embedded(Mapping[str, Array]):
    """Embeddings of sequences, as numpy arrays by name: `embedded["state"]`, or `embedded.state`."""

    arrays: Mapping[str, Array]
    about: Mapping[str, Any]
    """Run, step and precision that they come from."""

    def __getitem__(self, name: str) -> Array:
        """
        Raises:
            KeyError: there is no such array.
        """
        if name not in self.arrays:
            raise KeyError(f"there is no array {name!r}; there are {', '.join(self.arrays)}")
        return self.arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.arrays)

    def __len__(self) -> int:
        return len(self.arrays)

    def __getattr__(self, name: str) -> Array:
        if name.startswith("_") or name not in self.arrays:
            raise AttributeError(f"There is no array {name!r} here. There are {', '.join(self.arrays)}.")
        return self.arrays[name]

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.arrays]

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in self.arrays.items())
        return f"<Embedded {shapes}>"

    @in_python_words()
    def save(self, path: str | Path, *, task_names: Sequence[str] = (), replace: bool = False) -> Path:
        """Write all arrays to a .npz, .safetensors or .parquet file; it is there whole or not at all.

        Args:
            path: where to.
            task_names: the dataset's, for `task` by name, as `jepa embed` writes it; by number when not given.
            replace: an existing file may be replaced.

        Raises:
            DataError: the ending is of no such format, the file is there already, or the disk refuses.
        """
        with EmbeddingFile(
            Path(path), texts={"task": task_names} if len(task_names) else {}, about=self.about, replace=replace
        ) as file:
            file.append(self.arrays)
        return Path(path)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Model:
    """A checkpoint of a run, in evaluation mode. Nothing done with it changes the run."""

    opened: OpenedRun

    @property
    def path(self) -> Path:
        """The run directory."""
        return self.opened.reader.path

    @property
    def step(self) -> int:
        """Optimizer steps that the weights were trained for."""
        return self.opened.chosen.checkpoint.step

    @property
    def why(self) -> str:
        """Why this checkpoint, such as "best: highest retrieval"; empty where it was asked for by its step."""
        return self.opened.chosen.why

    @property
    def space(self) -> Space:
        """What it takes."""
        return self.opened.model.shape.space

    @property
    def context_length(self) -> int:
        """T."""
        return self.opened.model.shape.context_length

    @property
    def embedding_dim(self) -> int:
        """D."""
        return self.opened.model.objective.online.embedding_dim

    @property
    def device(self) -> torch.device:
        return self.opened.compute.device

    @property
    def module(self) -> Objective:
        """All its parts as a torch module: `module.online.encoder` and so on, `module.target` being the EMA network."""
        return self.opened.model.objective

    def __repr__(self) -> str:
        why = f" ({self.why})" if self.why else ""
        takes = f"{self.context_length} observations of {self.space.describe()}"
        return f"<Model {self.opened.reader.name}, step {self.step}{why}: {takes} → {self.embedding_dim}>"

    @in_python_words()
    @undisturbed()
    def data(self, *, set: Mapping[str, Any] | None = None) -> SequenceDataset:  # noqa: A002  # as on the command line
        """The run's data, with its splits `train` and `validation`; with `set` other data, by keys of `data`.

        For example: `model.data(set={"data.path": "grids.jsonl.gz"}).validation`

        Raises:
            JepaError: a value is at fault, or the data cannot be built or does not fit the weights.
        """
        flags = flags_of(set)
        if not flags:
            return self.opened.dataset()
        others = sorted({key for layer in override_layers(flags) for key in layer.table if key != "data"})
        if others:
            raise RecipeError(f"{', '.join(others)} cannot be set here: only data.* can, such as data.path.")
        recipe = load_recipe(self.path / RECIPE, overrides=flags, registry=self.opened.registry).recipe
        return attrs.evolve(self.opened, recipe=recipe).dataset()

    @in_python_words()
    @undisturbed()
    def embed(
        self, observations: Given, arrays: str | Iterable[str] = (), *, batch_size: int | None = None
    ) -> Embedded:
        """Embed sequences.

        Args:
            observations: S sequences of T observations of context, or T + 1 with the one to predict: a split of
                `data()`, or tensors or arrays by name, (S, T or T+1, …) each; of a space with one tensor, such as
                images, that alone. Arrays are in the units of the data, also where the run standardised it.
            arrays: which of state, prediction, target, tokens, mask and codes; all that there are when not given.
            batch_size: sequences at a time; a training batch when not given, on a GPU four.

        Returns:
            Arrays by name, float32, bool or int64: state, prediction, target (S, D); tokens (S, T, N, D); mask, codes
            (S, T, N). Of a split also `task` (S,) and each of its labels as `labels.NAME` (S,).

        Raises:
            DataError: they are not what the model takes.
            RecipeError: there is no such array.
        """
        embedder = embedder_of(self.opened, batch_size)
        given = embedder.fitted(observations_of(observations, self.space))
        if isinstance(self.space, HasScales) and not isinstance(observations, Sequences | Observations):
            given = self.space.scaled(given)  # a split is standardised already
        places = next(iter(given.tensors.values())).shape[1]
        names = embedder.names(names_of(arrays), has_target=places > self.context_length)
        parts = list(embedder.embed(given, names))
        embedded: dict[str, Array] = {name: torch.cat([part[name] for part in parts]).numpy() for name in names}
        if isinstance(observations, Sequences):
            beside = {"task": observations.tasks} | {f"labels.{k}": v for k, v in observations.labels.items()}
            embedded |= {name: values.cpu().numpy().copy() for name, values in beside.items()}
        about = {**about_of(self.opened), "arrays": {name: MEANINGS[name] for name in names}}
        return Embedded(arrays=embedded, about=about)


@in_python_words()
@undisturbed()
def load(
    run: RunLike = LATEST,
    *,
    step: Step = None,
    device: str | torch.device | None = "auto",
    precision: str | None = None,
    runs_dir: str | Path | None = RUNS_DIR,
    plugins: PluginFiles = (),
) -> Model:
    """Load a checkpoint of a run: safetensors and JSON that fit their SHA-256 sums, and no code.

    For example: `jepa.load("quickstart").embed(observations).state`

    Args:
        run: a run, its directory, the start of its name, or "latest".
        step: a step's number, "best" or "newest"; the best where the run kept one, else the newest, when not given.
        device: auto, cpu, cuda or cuda:N.
        precision: auto, fp32, bf16 or fp16; the run's when not given.
        runs_dir: the folder with the run directories.
        plugins: local Python files with plugins that the run was made with.

    Raises:
        JepaError: the run, the checkpoint, a value or the device is at fault.
    """
    path = directory_of(run, runs_dir)
    registry = registry_with(plugins)
    flags = flags_of({"train.precision": precision}) if precision else []
    opened = open_run(path, overrides=flags, step=step_text(step), device=device_text(device), registry=registry)
    return Model(opened=opened)
