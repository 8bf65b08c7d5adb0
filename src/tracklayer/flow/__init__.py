"""The flow: events taken in, deliveries carried on. What keeps a state between the API and the store lives here."""
