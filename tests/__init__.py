"""Tests. Folders below need no __init__.py; `from tests.support import ...` works everywhere."""
