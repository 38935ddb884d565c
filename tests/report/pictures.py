#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""
pictures.py DOM SCREENSHOT NUMBER: the page has so many pictures, each of them
shows something in colour, and the page asks for nothing else.
"""
import html
import json
import re
import struct
import sys
import zlib

COLOURED = 0.001    # of the pixels


def unfilter(kind, line, above, bpp):
    for i, byte in enumerate(line):
        left = line[i - bpp] if i >= bpp else 0
        up = above[i]
        corner = above[i - bpp] if i >= bpp else 0
        if kind == 1:
            byte += left
        elif kind == 2:
            byte += up
        elif kind == 3:
            byte += (left + up) // 2
        elif kind == 4:
            guess = left + up - corner
            byte += min((left, up, corner), key=lambda n: abs(guess - n))
        line[i] = byte & 255


def read_png(path):
    """Rows of pixels of 3 or 4 bytes."""
    with open(path, "rb") as file:
        data = file.read()
    at, packed = 8, b""
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + size]
        at += 12 + size
        if kind == b"IHDR":
            width, height, depth, colours = struct.unpack(">IIBB", body[:10])
        elif kind == b"IDAT":
            packed += body
    if depth != 8 or colours not in (2, 6):
        sys.exit(f"{path}: pixels of an unknown kind")
    bpp = 3 if colours == 2 else 4
    raw = zlib.decompress(packed)
    rows, above = [], bytearray(width * bpp)
    for y in range(height):
        start = y * (width * bpp + 1)
        line = bytearray(raw[start + 1:start + 1 + width * bpp])
        unfilter(raw[start], line, above, bpp)
        rows.append(line)
        above = line
    return rows, bpp


def is_coloured(pixel):
    return max(pixel) - min(pixel) > 40


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        found = re.search(r'<pre id="probe"[^>]*>(.*?)</pre>', file.read(), re.S)
    probe = json.loads(html.unescape(found.group(1)))
    rows, bpp = read_png(sys.argv[2])
    bad = [f"asks for {name}" for name in probe["asks"]]
    if len(probe["pictures"]) != int(sys.argv[3]):
        bad.append(f"{len(probe['pictures'])} pictures")
    for picture in probe["pictures"]:
        pixels = [rows[y][x * bpp:x * bpp + 3]
                  for y in range(int(picture["top"]), int(picture["bottom"]) - 1)
                  for x in range(int(picture["left"]) + 1, int(picture["right"]))]
        part = sum(map(is_coloured, pixels)) / len(pixels)
        print(f"     {picture['title']}: {100 * part:.1f} % in colour")
        if part < COLOURED:
            bad.append(f"{picture['title']}: empty")
    for line in bad:
        print(f"     {line}")
    sys.exit(bool(bad))


main()
