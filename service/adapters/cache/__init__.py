"""Adapters that stand before another and remember what it answered."""
