"""Any federation of the workbook as a Flower app: `flwr run flower_app`, or `simulate` in a notebook."""
