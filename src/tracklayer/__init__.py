"""TrackLayer: one clean event in, one shaped, signed and paced request out to every destination that wants it."""

__version__ = "0.1.0"
