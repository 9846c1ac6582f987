"""From a raw book to its narrative text: what is removed, and how the rest is written down."""
