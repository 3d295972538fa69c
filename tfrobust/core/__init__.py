"""What every room stands on: networks, images, distances, goals, files. It knows no attack."""
