"""What is measured on a GPU; `gpu_check.py` runs it, each job in a process of its own."""
