"""The operators: every test that takes an `implementation` runs for each one that is registered."""
