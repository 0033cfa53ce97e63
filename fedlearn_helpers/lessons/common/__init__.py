"""What lessons share: exercises, widgets, results, the contents of the workbook."""
