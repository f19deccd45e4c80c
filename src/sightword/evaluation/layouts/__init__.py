"""How publishers ship their data sets: one room a way, each a `Layout` (`layout.py`), all in `all.py`."""
