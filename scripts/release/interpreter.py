"""Writes an ELF program anew, with another loader: interpreter.py PROGRAM LOADER WRITTEN"""

import sys

import lief

program, loader, written = sys.argv[1:]
binary = lief.ELF.parse(program)
binary.interpreter = loader
binary.write(written)
