"""What a stack file may ask for: types, limits, and words for what is wrong."""
