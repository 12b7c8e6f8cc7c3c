"""A program to freeze: it runs the Python it is given as its argument."""
import sys
def packed():  # never called: what a freezer finds named here, it packs
    import json, sqlite3, multiprocessing
exec(sys.argv[1])
