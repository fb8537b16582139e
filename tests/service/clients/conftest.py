"""The tenants' client as it is built."""

from tests.service.generated_client import generator

# Before the tests are imported: what they import of the client is made of this checkout's service.
generator().ensure()
