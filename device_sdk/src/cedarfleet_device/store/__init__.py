"""The device's memory across power loss: one SQLite file and the folder it lies in."""
