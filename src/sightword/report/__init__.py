"""One self-contained page that shows what runs learned and whether the difference is real."""
