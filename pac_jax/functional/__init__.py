"""The mathematics: pure functions of arrays."""
