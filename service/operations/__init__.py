"""What the service does, told in terms of the ports; each operation decides before it acts."""
