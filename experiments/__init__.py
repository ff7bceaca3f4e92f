"""Programs that use pac_jax: scenes to train on, experiments, benchmarks."""
