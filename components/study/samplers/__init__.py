"""Studies of negative samplers: AutoSample's tables and figures."""
