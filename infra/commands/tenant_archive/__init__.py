"""A tenant's data as one file: taken out of one platform, brought into another."""
