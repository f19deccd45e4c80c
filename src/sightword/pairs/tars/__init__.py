"""Pairs in webdataset shards, and where each lies."""
