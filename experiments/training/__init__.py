"""What every training shares: checkpoints, log, curves, the loop; it knows no task."""
