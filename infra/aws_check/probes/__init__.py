"""The calls that settle rows, one file a theme; each asks in the order of its functions."""
