"""What a grid of runs says: gains, laws, crossovers and verdicts. Pure mathematics over a table of points."""
