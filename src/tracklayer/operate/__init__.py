"""What people do to a running TrackLayer: the functions behind the API, the console and the command line."""
