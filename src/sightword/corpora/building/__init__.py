"""The public corpora, from packages to shards."""
