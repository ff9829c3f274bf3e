"""The order of work: which stages a delivery goes through on its day, whatever drives them."""
