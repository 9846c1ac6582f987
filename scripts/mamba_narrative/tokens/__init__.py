"""GPT-2 tokens in memory-mapped arrays: writer, reader and window sampler."""
