"""Floor 7. The public corpora, from packages to shards."""
