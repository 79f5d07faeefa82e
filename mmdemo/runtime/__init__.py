"""Getting, loading and running checkpoints."""
