"""jepa-core: the engine. It knows components by contract only, and imports nothing heavy at this level."""

__version__ = "0.1.0"
