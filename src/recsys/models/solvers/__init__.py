"""How factors are found."""
