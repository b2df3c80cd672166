"""How fast recloop is, against its peers and against the machine. Each module is run with `python -m`."""
