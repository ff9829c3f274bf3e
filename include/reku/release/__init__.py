"""Whether a delivery that passed the gate goes on by itself or asks a person, and the report about it."""
