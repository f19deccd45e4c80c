"""Published corpora as their users have them on disk: `--data LAYOUT:FOLDER`."""
