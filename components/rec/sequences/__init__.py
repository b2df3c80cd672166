"""Models whose users are what they did, in the order of time."""
