"""Commands: received, stored, run once and reported."""
