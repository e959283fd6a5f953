"""`python -m jepa_core`, and so `torchrun … -m jepa_core run RECIPE`."""

from jepa_core.cli import main

if __name__ == "__main__":
    main()
