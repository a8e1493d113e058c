"""The sections of the page, each a function from the source and the files to the content of its template."""
