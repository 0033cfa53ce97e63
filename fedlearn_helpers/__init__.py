"""Helpers behind the notebooks of the Federated Learning Workbook.

Import what you need from the modules; this file stays empty of imports so that
`import fedlearn_helpers` costs nothing.
"""

__version__ = "0.1.0"
