"""Learning without gradients: boosted trees from sums of whole numbers, and what is not equal to them."""
