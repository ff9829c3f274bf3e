"""Tables, migrations and the engine of our own database (schema `reku`)."""
