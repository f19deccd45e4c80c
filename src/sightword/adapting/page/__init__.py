"""The page of an adaptation, from its findings alone."""
