"""How a device gets its certificate, and a new one."""
