"""From bytes to augmented batches: pictures are decoded once, and every view is a pure function."""
