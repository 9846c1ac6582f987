"""Raw books in; narrative text, decisions with reasons, duplicate clusters and splits out: a room for each step."""
