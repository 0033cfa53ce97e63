"""Between a trained model and its devices: the file, the update in stages, what a round needs, and many of them."""
