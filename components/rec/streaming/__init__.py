"""Learning from a stream: predicted first, then trained on."""
