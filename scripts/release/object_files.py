"""Reads what object files say of themselves, and prints it as JSON: {path: facts}.

scripts/release/verify.mjs judges the facts. The reader of the three formats is LIEF.
"""

import hashlib
import json
import struct
import sys

import lief


def version_key(version):
    return tuple(int(part) for part in version.split("."))


def elf(binary):
    needed = [
        symbol.name.removeprefix("GLIBC_")
        for requirement in binary.symbols_version_requirement
        for symbol in requirement.get_auxiliary_symbols()
        if symbol.name.startswith("GLIBC_")
    ]
    return {
        "format": "ELF",
        "machine": binary.header.machine_type.name,
        "libraries": list(binary.libraries),
        "glibc": max(needed, key=version_key, default=None),
        "imports": [],
        "exports": [symbol.name for symbol in binary.exported_symbols],
    }


CODE_DIRECTORY = 0xFADE0C02
EMBEDDED_SIGNATURE = 0xFADE0CC0
ADHOC_FLAG = 0x2
SHA256 = 2


def signature(binary, content):
    """The state of a Mach-O file's signature: whether it is an ad-hoc one and the hash of every page is right."""
    if not binary.has_code_signature:
        return "none"
    command = binary.code_signature
    blob = content[command.data_offset : command.data_offset + command.data_size]
    magic, _, count = struct.unpack_from(">III", blob)
    if magic != EMBEDDED_SIGNATURE:
        return "not an embedded signature"
    for index in range(count):
        _, start = struct.unpack_from(">II", blob, 12 + 8 * index)
        if struct.unpack_from(">I", blob, start)[0] == CODE_DIRECTORY:
            break
    else:
        return "no code directory"
    flags, hashes, _, _, slots, limit = struct.unpack_from(">IIIIII", blob, start + 12)
    hash_size, hash_type, _, page_bits = struct.unpack_from(">BBBB", blob, start + 36)
    if hash_type != SHA256 or hash_size != 32:
        return f"hashes of type {hash_type}"
    if limit != command.data_offset:
        return f"covers {limit} bytes of {command.data_offset}"
    page = 1 << page_bits
    if slots != -(-limit // page):
        return f"{slots} hashes for {-(-limit // page)} pages"
    for slot in range(slots):
        at = start + hashes + slot * hash_size
        right = hashlib.sha256(content[slot * page : min((slot + 1) * page, limit)]).digest()
        if blob[at : at + hash_size] != right:
            return f"the hash of page {slot} is wrong"
    kind = "ad-hoc" if flags & ADHOC_FLAG else "not ad-hoc"
    return f"{kind}, {slots} pages"


def mach_o(binary, content):
    commands = list(binary.commands)
    own = [c for c in commands if c.command == lief.MachO.LoadCommand.TYPE.ID_DYLIB]
    loads = [library.name for library in binary.libraries]
    if own:
        loads.remove(own[0].name)
    if binary.has_build_version:
        minimum = binary.build_version.minos
    else:
        minimum = binary.version_min.version
    return {
        "format": "Mach-O",
        "machine": binary.header.cpu_type.name,
        "libraries": loads,
        "macos": ".".join(str(part) for part in minimum[:2]),
        "installName": own[0].name if own else None,
        "signature": signature(binary, content),
        # What no library is named for: the process that loads the file has to have it.
        "imports": sorted(
            {
                binding.symbol.name.removeprefix("_")
                for binding in binary.bindings
                if binding.has_symbol and binding.library_ordinal < 0
            }
        ),
        "exports": [symbol.name.removeprefix("_") for symbol in binary.exported_symbols],
    }


def pe(binary):
    exported = binary.get_export() if binary.has_exports else None
    return {
        "format": "PE",
        "machine": binary.header.machine.name,
        "libraries": [entry.name.lower() for entry in binary.imports],
        "imports": [],
        "exports": [entry.name for entry in exported.entries] if exported else [],
    }


def facts(path):
    with open(path, "rb") as file:
        content = file.read()
    if lief.is_elf(path):
        return elf(lief.ELF.parse(path))
    if lief.is_macho(path):
        fat = lief.MachO.parse(path)
        if fat.size != 1:
            raise ValueError(f"{path} is for {fat.size} machines")
        return mach_o(fat.at(0), content)
    if lief.is_pe(path):
        return pe(lief.PE.parse(path))
    raise ValueError(f"{path} is neither ELF nor Mach-O nor PE")


lief.logging.disable()
print(json.dumps({path: facts(path) for path in sys.argv[1:]}))
