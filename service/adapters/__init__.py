"""The doors to the world: ``aws`` for production and the embedded cloud, ``memory`` for tests and experiments."""
