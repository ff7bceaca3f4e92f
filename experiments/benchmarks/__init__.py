"""How fast the operators are, beside what a user could write instead."""
