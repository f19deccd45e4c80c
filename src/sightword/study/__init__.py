"""Did self-supervision pay? Grids of paired runs, and what they say."""
