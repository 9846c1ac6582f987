"""Language models behind one interface, and the scans that make them fast."""
