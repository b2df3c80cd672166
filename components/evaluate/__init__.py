"""The evaluate stage and its report."""
