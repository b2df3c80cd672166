"""Studies of losses: AutoLoss's tables and figures."""
