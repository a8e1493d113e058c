"""The engine: when and where trials run. The only package that knows Ray, Optuna and Parquet writing."""
