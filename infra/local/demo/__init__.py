"""The demo: the product's main job step by step, each step checked."""
