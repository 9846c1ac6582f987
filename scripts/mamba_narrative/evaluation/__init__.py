"""Measures of held-out books: likelihood, generation, and their intervals."""
