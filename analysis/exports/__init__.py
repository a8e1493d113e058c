"""Exports of results folders for other tools: files of tables, MLflow, TensorBoard, Optuna."""
