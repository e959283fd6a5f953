"""The objective of the system this project grew from, part by part, to measure against.

Each part is a component of its own. What they have in common is in the recipes `seed_pairs*`;
`benchmarks/seed_faults.py` has the commands that say what it costs where a part is mended.
"""
