"""Raw books from elsewhere: mirrors of Project Gutenberg, its archive, Hugging Face datasets."""
