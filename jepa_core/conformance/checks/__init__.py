"""The checks, one module a concern."""
