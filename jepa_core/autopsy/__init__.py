"""What a run's files tell of its end, whatever that was. Reads, writes nothing, and loads no torch."""
