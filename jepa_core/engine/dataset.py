"""A recipe's data, built and checked: what passes here the engine takes for granted."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from jepa_core.contracts import SequenceDataset, Space
from jepa_core.dataset_checks import check_dataset
from jepa_core.engine.building import REMEDY, origin_of
from jepa_core.engine.interruption import StoppedBeforeTraining
from jepa_core.engine.memory_faults import memory_for
from jepa_core.errors import DataError, JepaError
from jepa_core.facts import DatasetFacts
from jepa_core.home import at_home
from jepa_core.recipes.tables import Recipe

_LARGE = 10_000_000
"""Bytes of a file from which reading it may take seconds."""


def built_dataset(recipe: Recipe, space: Space | None = None) -> SequenceDataset:
    """The data that the recipe's `data` table names; `space` is that of the weights which it is for, once trained.

    Raises:
        DataError: the dataset fails, or gives sequences that nothing could be trained on; with its name, where it comes
            from and what is wrong. Its own `JepaError` passes.
        DeviceError: its settings ask for more memory than there is.
        StoppedBeforeTraining: by a signal.
    """
    config = recipe.data
    try:
        with memory_for(f"the dataset {origin_of(config)}", config):
            dataset: SequenceDataset = config.build(DatasetFacts(seed=recipe.train.seed, space=space))
        check_dataset(dataset, config.space)
    except (JepaError, StoppedBeforeTraining):
        raise
    # A plugin's sys.exit(0) would end the program as if all had gone well.
    except (Exception, SystemExit) as error:
        problem = str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}"
        raise DataError(f"The dataset {origin_of(config)} gives nothing to train on: {problem}.\n{REMEDY}") from error
    return dataset


def reading_stage(recipe: Recipe) -> str:
    """What goes on while the data is built, with how much there is to read where that is a large file."""
    path = getattr(recipe.data, "path", None)
    size = 0
    if isinstance(path, str) and path:
        with suppress(OSError, ValueError, JepaError):
            size = Path(at_home(path)).stat().st_size
    return "reading data" + (f", {size / 1e6:,.0f} MB" if size >= _LARGE else "")


def require_tokens(num_tokens: int, num_sequences: int, recipe: Recipe) -> None:
    """Refuse to start a quantizer from nothing.

    Args:
        num_tokens: of the contexts of so many training sequences.
        num_sequences: those that were looked at.
        recipe: whose quantizer starts from tokens of its encoder.

    Raises:
        DataError: there is no token.
    """
    if not num_tokens:
        raise DataError(
            f'quantizer.kind = "{recipe.quantizer.kind}" starts from tokens of the data, and encoder.kind = '
            f'"{recipe.encoder.kind}" finds none in the contexts of {num_sequences:,} training '
            f"sequence{'' if num_sequences == 1 else 's'}, so there is nothing to train on. Give data with something "
            "in it, or take another encoder."
        )
