"""Where events come from: each module reads one sender's bytes into canonical events."""
