"""How tables are displayed on a terminal and in the report: their columns, with headings, formats and meanings."""
