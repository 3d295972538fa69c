"""How many bits of a 16-bit sample carry the picture, where the file does not say it.

Radiographs and microscopes give 10, 12 or 14 bits, and many programs write them into files of 16
bits as they are. Such a picture is nearly black to whoever takes all 16 bits for used.
"""

MIN_BITS, MAX_BITS = 9, 16
USUAL_BITS = (10, 12, 14)
FULL_16_BITS = 2**16 - 1
# Samples that are all below this use less than a quarter of their range.
SUSPICIOUSLY_DARK = 2**14
TOO_DARK = (
    f"expected 16-bit samples up to at least {SUSPICIOUSLY_DARK}, or to be told by `bits` how many "
    "of the 16 bits carry the picture, such as 12 in a radiograph; the largest sample is"
)
TOO_LARGE = "expected 16-bit samples of which {bits} bits carry the picture; the largest sample is"
