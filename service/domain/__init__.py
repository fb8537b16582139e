"""The words of the business as plain data and pure functions; no I/O, no framework, no AWS."""
