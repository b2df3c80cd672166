"""What every stage and every orchestrator shares. Imports no torch, pandas or mlflow."""
