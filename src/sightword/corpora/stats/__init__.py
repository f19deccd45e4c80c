"""What is in pairs, on a page."""
