"""Floor 3. Pairs in webdataset shards, and where each lies."""
