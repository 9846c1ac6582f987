"""Which books share text or an author, and the splits that keep those together."""
