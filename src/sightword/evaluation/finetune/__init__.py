"""End-to-end fine-tuning of a tower with a linear head, and the same from fresh weights."""
