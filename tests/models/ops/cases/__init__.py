"""The test cases of make_ops.py, grouped by kind of operator.

Every module of this folder is a group: one generator function `cases()` that yields `Model`s. `ALL` has them in the order of
their names. Deliberately not here: running or writing the models (builder.py).
"""
import importlib
import pkgutil

ALL = [importlib.import_module(f"{__name__}.{module.name}") for module in sorted(pkgutil.iter_modules(__path__), key=lambda m: m.name)]
