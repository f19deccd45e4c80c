"""Visual question answering: a light head over both encoders, frozen or fine-tuned."""
