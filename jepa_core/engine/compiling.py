"""When compiling the training step pays: it takes long once, and every step after it is shorter.

Measured on one H200 (docs/performance.md): replayed steps take a fifth less time compiled; to compile one takes a
minute, or 5 to 11 s once torch's caches hold it. Measured here is only how long a step takes.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import attrs
import torch
from platformdirs import user_cache_path

from jepa_core import __version__
from jepa_core.engine.cuda_graphs import WARM_UP
from jepa_core.engine.device import Compute
from jepa_core.recipes.tables import Recipe

COLD_S, WARM_S = 60.0, 10.0
"""What compiling takes, the first time and later."""
SHORTER = 0.2
"""Share of a step's time that compiling saves."""
MEASURED = 2 * WARM_UP, 4 * WARM_UP
"""Steps of a process between which time is taken: the step is replayed by then."""

CACHEABLE = ("torch.amp.autocast_mode._enter_autocast", "torch.amp.autocast_mode._exit_autocast")
"""Functions whose effect their arguments say wholly."""


@attrs.frozen
class Prospect:
    """What compiling would take and save, in seconds."""

    takes: float
    saves: float

    @property
    def pays(self) -> bool:
        return self.saves > self.takes


class Compiling:
    """Whether to compile, decided once a process, from the time that its own steps take."""

    def __init__(self, recipe: Recipe, compute: Compute, *, clock: Callable[[], float] | None = None) -> None:
        """`clock`: in seconds, once the device has done what it was given."""
        train = recipe.train
        # Compiled and plain steps round differently: where each bit counts, the clock must not choose between them.
        self._is_open = train.compile == "auto" and compute.device.type == "cuda" and not train.deterministic
        self._recipe, self._device = recipe, compute.device
        self._first_step = self._started = -1.0
        self._clock = clock or self._time_on_device

    def prospect(self, steps_done: int, run_steps: int) -> Prospect | None:
        """Asked before every step of `run_steps`. An answer comes once, when steps have been measured, and waits for
        the device."""
        if not self._is_open:
            return None
        if self._first_step < 0:
            self._first_step = steps_done
        first, last = MEASURED
        if steps_done - self._first_step == first:
            self._started = self._clock()
        if steps_done - self._first_step != last:
            return None
        self._is_open = False
        seconds_per_step = (self._clock() - self._started) / (last - first)
        saves = SHORTER * seconds_per_step * (run_steps - steps_done)
        return Prospect(self.takes, saves)

    @property
    def takes(self) -> float:
        """Seconds to compile this step, about: fewer if the caches hold it."""
        return WARM_S if self._marker().exists() else COLD_S

    def note_compiled(self) -> None:
        """The caches hold this step from now on."""
        marker = self._marker()
        with suppress(OSError):
            marker.parent.mkdir(parents=True, exist_ok=True)
            marker.touch()

    def _time_on_device(self) -> float:
        torch.cuda.synchronize(self._device)
        return time.perf_counter()

    def _marker(self) -> Path:
        """A file that is there if this step was compiled on this machine."""
        recipe = self._recipe
        parts = [recipe.encoder, recipe.quantizer, recipe.aggregator, recipe.predictor, recipe.projector, recipe.losses]
        step = [__version__, torch.__version__, self._device.type, recipe.train.batch_size]
        told = json.dumps([*step, recipe.train.precision, *map(repr, parts)])
        return cache_folder() / "steps" / hashlib.sha256(told.encode()).hexdigest()


def cache_folder() -> Path:
    """Where compiled steps are kept between runs: in the user's cache, or in TORCHINDUCTOR_CACHE_DIR."""
    chosen = os.environ.get("TORCHINDUCTOR_CACHE_DIR")
    return user_cache_path("jepa-core") / "compiled" if chosen is None or _is_torchs_own(Path(chosen)) else Path(chosen)


def _is_torchs_own(folder: Path) -> bool:
    """Whether torch has chosen it, as it does where its compiler is imported by anyone: among temporary files."""
    return folder.parent == Path(tempfile.gettempdir()) and folder.name.startswith("torchinductor_")


def keep_compiled() -> None:
    """Let torch keep what it compiles there, if that can be written; to be called before anything is compiled."""
    from torch._inductor import config

    folder = cache_folder()
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder)
    # Without these in its list torch keeps no step that switches autocast off for a loss, and traces it anew for long.
    # Their arguments are part of the step that is kept, so that another number format is another step.
    config.unsafe_marked_cacheable_functions |= dict.fromkeys(CACHEABLE, "1")
