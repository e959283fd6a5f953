"""Recorded runs beside each other: what differs, where they part, what each came to, and whether a gain is real."""
