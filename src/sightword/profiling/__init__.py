"""Where the time of a training step goes: by part of the model and by kind of operation."""
