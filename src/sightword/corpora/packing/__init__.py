"""Floor 7. Any pairs into shards."""
