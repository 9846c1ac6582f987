"""Which books are English narrative prose, told by their text and the catalogue."""
