"""`jepa bench`: parts of a run timed beside plain torch, and beside what the device could do."""
