"""From files to rows: loading, one table from many files, which rows are current."""
