"""What becomes of an event before it is stored: normalize → enrich → consent → route."""
