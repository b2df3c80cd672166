"""Models, samplers, losses, searchers and the loop that trains them (torch)."""
