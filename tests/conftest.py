"""What tests of several parts share: tiny recipes on generated data."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from jepa_core.engine.device import numerics_kept
from jepa_core.recipes.reading import load_recipe
from jepa_core.recipes.tables import Recipe
from jepa_core.registry import installed

_HANDLED = (signal.SIGUSR1, signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_HANDLERS = {number: signal.getsignal(number) for number in _HANDLED}
"""What the process of these tests does at a signal that the program handles."""

# readline, which pytest loads, writes a terminal's width into the environment of child processes alone.
os.environ.setdefault("COLUMNS", "")
del os.environ["COLUMNS"]

# A process that was forked looks for no garbage in what it was given: a look writes on all of it, so that it is copied.
os.register_at_fork(after_in_child=gc.freeze)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Thousands of tests are made and none thrown away, so that looking for garbage among them finds nothing, then and
    at every later look: they are set aside."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


TINY = """
name = "tiny"

[data]
kind = "traces"
num_sequences = 120
side = 8
validation_share = 0.2

[encoder]
kind = "cells"
dim = 16
layers = 1
heads = 2
patch = 3

[quantizer]
kind = "ema_vq"
codes = 8
revive_every = 2

[aggregator]
kind = "attention"

[predictor]
kind = "mlp"

[projector]
layers = 1
dim = 12

[losses.info_nce]
queue = 16

[losses.sigreg]
weight = 0.05
slices = 8
points = 5

[train]
epochs = 1
batch_size = 16
seed = 3

[diagnostics]
log_every_steps = 1
every_steps = 2
sample = 16
"""


VECTORS = """
name = "vectors"

[data]
kind = "arrays"
path = "{path}"
observed_as = "vectors"
holds = "sequences"
context_length = 2

[encoder]
kind = "mlp"
dim = 8

[aggregator]
kind = "mean"

[predictor]
kind = "identity"

[losses.info_nce]

[train]
epochs = 1
batch_size = 16
"""
"""A recipe for vectors in a file, whose path is to be put in."""


@pytest.fixture(autouse=True)
def numerics_of_the_process() -> Iterator[None]:
    """A run sets torch's process-wide switches: put them back, so that no test depends on those before it."""
    with numerics_kept():
        yield


@pytest.fixture
def tiny_recipe_file(tmp_path: Path) -> Path:
    """A recipe that trains in about a second."""
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture
def tiny_recipe(tiny_recipe_file: Path) -> Callable[..., Recipe]:
    """The same, loaded, with `KEY=VALUE` overrides as arguments."""

    def load(*overrides: str) -> Recipe:
        return load_recipe(tiny_recipe_file, overrides=overrides, registry=installed()).recipe

    return load


@pytest.fixture(autouse=True)
def signals_of_the_process() -> Iterator[None]:
    """The program ignores SIGUSR1 from its first line on, and what is ignored here is ignored by every process that a
    later test begins; and it has its own answer to SIGINT. Fixtures of a module call it, too."""
    _put_back_handlers()
    yield
    _put_back_handlers()


def _put_back_handlers() -> None:
    for number, handler in _HANDLERS.items():
        signal.signal(number, handler)
