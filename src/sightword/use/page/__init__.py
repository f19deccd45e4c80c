"""A page on this machine alone, to type what one looks for and see what is found."""
