"""The engine: when and where trials run. The only package that uses Ray, searches with Optuna and writes Parquet."""
