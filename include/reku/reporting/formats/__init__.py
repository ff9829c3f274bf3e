"""How each core-banking system wants to be told: one module per format."""
