"""What weights give away (inversion, membership), and what keeps it: secure sums, clipping, and noise."""
