"""The selective scan: one definition, several backends."""
