"""An HTTP/1.1 client that asks for ranges."""
