"""The federation of notebook 02 as a Flower app: `flwr run flower_app`, or `simulate` in a notebook."""
