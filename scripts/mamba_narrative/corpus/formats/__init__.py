"""The files that stages hand on: for each its columns, what writes it and what reads it."""
