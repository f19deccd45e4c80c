"""What a run learns from: one objective a file, found by its file name (see catalogue.py)."""
