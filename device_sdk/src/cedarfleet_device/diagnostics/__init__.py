"""What a device says of itself, and what keeps it from working."""
