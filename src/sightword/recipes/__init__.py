"""Recipes: functions that return a `Config`. One file for each paper or purpose; no torch here."""
