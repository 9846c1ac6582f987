"""The typed configuration: one module a section, so that a rule depends on its own section only."""
