"""Trained models in the forms that other software takes, each verified before it is there."""
