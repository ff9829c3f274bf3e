"""What tests and benchmarks share: servers, worlds, files of banks. Not shipped: no wheel and no image holds it."""
