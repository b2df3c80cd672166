"""The loop is killed, again and again, and run anew: whatever happened, the end is the same."""
