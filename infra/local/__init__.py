"""What runs on a laptop: the embedded cloud, the engine for it, the demo."""
