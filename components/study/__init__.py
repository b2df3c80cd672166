"""Studies: a grid of recipes' cells, run side by side, and the paper's tables and figures of it."""
