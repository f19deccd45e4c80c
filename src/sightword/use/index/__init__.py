"""Features of many pictures in an index on disk, and what a sentence or a picture finds there."""
