"""Components for jepa: the aggregator `recency` and the loss `koleo`."""
