"""The demo: the product's main job as one story, each step checked."""
