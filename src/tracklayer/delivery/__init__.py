"""What becomes of a delivery: limit → render → sign → send → classify → retry."""
