"""jepa-core: train joint-embedding predictive models, and know whether a run is any good.

    import jepa_core as jepa

    run = jepa.train("quickstart", show=True)
    model = run.load()
    embedded = model.embed(model.data().validation)
    embedded.save("embeddings.npz")

Importing this loads nothing heavy: torch comes with the first name that needs it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from jepa_core.api.metrics import Metrics
    from jepa_core.api.models import Embedded, Model, load
    from jepa_core.api.recipes import Recipe, recipe
    from jepa_core.api.runs import Run, evaluate, open_run, resume, runs, train, verdict
    from jepa_core.errors import JepaError

__all__ = [
    "Embedded",
    "JepaError",
    "Metrics",
    "Model",
    "Recipe",
    "Run",
    "__version__",
    "evaluate",
    "load",
    "open_run",
    "recipe",
    "resume",
    "runs",
    "train",
    "verdict",
]

_HOMES = {
    "jepa_core.api.models": ("Embedded", "Model", "load"),
    "jepa_core.api.recipes": ("Recipe", "recipe"),
    "jepa_core.api.metrics": ("Metrics",),
    "jepa_core.api.runs": ("Run", "evaluate", "open_run", "resume", "runs", "train", "verdict"),
    "jepa_core.errors": ("JepaError",),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            import random

            # Libraries draw numbers while they are imported; whoever seeded before this shall not notice.
            before = random.getstate()
            try:
                return getattr(import_module(home), name)
            finally:
                random.setstate(before)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
