"""Shards that lie elsewhere: fetched into a bounded cache, ahead of need, with patience."""
