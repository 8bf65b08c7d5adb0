"""What the demo, the tests and the benchmark share: a local receiver of webhooks."""
