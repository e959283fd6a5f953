"""Series: pieces of recordings of one or more channels."""
