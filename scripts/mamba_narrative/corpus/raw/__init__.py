"""What is there before anything is decided: the raw files, their bytes and characters, header and catalogue."""
