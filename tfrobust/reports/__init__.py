"""Records in; pages, figures, animations and data frames out."""
