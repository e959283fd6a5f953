"""Reads run directories and shows them. Knows nothing of training: the directory is its only link to the trainer."""
