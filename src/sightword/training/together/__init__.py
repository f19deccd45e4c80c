"""Several processes that train one model, and what they do when one is lost."""
