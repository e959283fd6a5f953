"""Ablations: a recipe under every combination of varied values and several seeds, and what each value does."""
