"""The built-in components of jepa-core, found through the same entry points as anyone's."""
