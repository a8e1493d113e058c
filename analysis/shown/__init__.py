"""What is shown of each table, on a terminal and on the page: its columns, their headings, formats and meanings."""
