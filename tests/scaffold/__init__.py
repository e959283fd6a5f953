"""Tests of `jepa_core.scaffold`: what `jepa plugins new` writes."""
