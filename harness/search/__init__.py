"""The hyperparameter search: Optuna studies, seeds, and the rule that picks a winner."""
