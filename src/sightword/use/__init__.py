"""A trained model put to use: pictures classified, ranked, indexed, searched and shown."""
