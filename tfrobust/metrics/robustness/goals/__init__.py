"""What an attack on an explanation is after: each goal is lowered along its own gradient."""
