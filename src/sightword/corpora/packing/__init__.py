"""Any pairs into shards."""
