"""Pairs that tables, folders and data sets of others list."""
