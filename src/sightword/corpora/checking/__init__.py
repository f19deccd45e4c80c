"""What is wrong with pairs."""
