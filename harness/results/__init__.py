"""The results folder: the only package that writes Parquet."""
