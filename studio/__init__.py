"""Path-traced photographs of parts on a table: ``scene`` draws plain data, ``render`` makes pictures of it."""
