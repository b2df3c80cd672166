"""Adam in two forms with the same results: over whole tables, and over the rows that a batch touches."""
