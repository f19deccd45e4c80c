"""Floor 7. What is in pairs, on a page."""
