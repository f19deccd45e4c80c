"""Floor 3. Captions, and how they become tokens."""
