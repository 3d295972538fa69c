"""The programs: flags are read and checked before TensorFlow is imported."""
