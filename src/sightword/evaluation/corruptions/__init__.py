"""The corruptions of ImageNet-C (Hendrycks and Dietterich 2019, 1903.12261), from their definitions."""
