"""What the two tables are: columns, ids, contract, ratings, and the texts and tags in their cells."""
