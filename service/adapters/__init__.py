"""What answers the ports: ``aws``, ``cache`` before it, and ``memory``, a twin for each port."""
