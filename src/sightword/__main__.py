"""`python -m sightword` is the command `sightword`."""

from __future__ import annotations

from sightword.cli import main

if __name__ == "__main__":
    main()
