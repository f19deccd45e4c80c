"""From a configuration to trained weights: the encoding plan, the loop, checkpoints and records."""
