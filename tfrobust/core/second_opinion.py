"""By what a second opinion is known, and from when on a size counts as smaller than another."""

TITLE = "second opinion: CleverHans"
# An attack that begins with another's perturbation shortens it by less than this share, and has
# not found one of its own.
TAKEN_OVER = 0.999
