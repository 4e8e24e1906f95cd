"""EMR plugins: one module or package per vendor."""
