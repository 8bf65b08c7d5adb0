"""The benchmark: events over HTTP in, signed requests at a receiver out, measured from the outside.

`python -m bench` starts a receiver (`sink`), a server under test (`subjects`) and a load generator (`load`), each
in its own process on loopback, and prints what it measured (`report`). Nothing here imports the product.
"""
