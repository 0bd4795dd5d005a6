"""Which settings suit a table: the search of every night, the long one, and what earlier nights found."""
