"""The page of a study: its verdict, figures and tables, from the analysis' results alone."""
