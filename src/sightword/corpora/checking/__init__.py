"""Floor 7. What is wrong with pairs."""
