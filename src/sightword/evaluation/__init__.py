"""What a trained model can do: labelled sets, features, tasks, scores and their comparison."""
