"""What must be true: one suite per module, named like what it judges."""
