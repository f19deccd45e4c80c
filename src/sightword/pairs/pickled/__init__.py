"""Rows out of a stranger's pickle, read as data: nothing in it is ever imported or called."""
