"""The device's memory across power loss: one SQLite file in a folder that one process holds.

``store`` is the door: ``Store.submit`` queues a change, one thread makes it and syncs.
``transaction`` is one such change, with what is to be called when it is written and when it is
durable. ``database`` opens the file, makes its tables and refuses a damaged one. ``state_folder``
locks the folder against a second agent.
"""
