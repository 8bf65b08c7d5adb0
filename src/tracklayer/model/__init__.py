"""The words of the product as frozen types: event, destination, delivery."""
