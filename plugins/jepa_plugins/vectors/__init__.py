"""Vectors: a state or an embedding at each moment."""
