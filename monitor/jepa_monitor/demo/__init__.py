"""A scripted run for `jepa demo`: made-up figures in a real run directory, judged by the real rules.

Needs neither torch nor a device. The monitor that shows it has no link to it but the directory.
"""
