"""Going back: what a rollback would do, the change it makes, the run that goes on, and who orders one."""
