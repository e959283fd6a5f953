"""The library's door, as `import jepa_core as jepa` opens it: recipes, training, runs and models from Python.

Quiet unless asked to show something, and every call leaves the process as it was; see `process`.
"""
