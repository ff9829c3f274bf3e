"""A server with the shape of EMMA's web service, for tests and demo; what it is and is not: docs/emma.md."""
