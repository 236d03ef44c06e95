#!/usr/bin/env python3
"""Verifies an export of a Rialto record, without Rialto.

    python3 verify.py DIRECTORY --key PUBLIC-KEY

DIRECTORY is the export: manifest.json, manifest.sig, rows.jsonl, checkpoints.jsonl and whatever else the manifest lists.
PUBLIC-KEY (64 hexadecimal digits, may be given several times) is the key that the record is signed with, as somebody noted
it who could not be deceived: `rialto journal key` shows it on the server. Without it this program can only say that
everything fits together, and not whose record it is.

The format is written down in FORMAT.md, which comes with the export; this program was written from that page alone and
needs nothing but Python 3.8 or later. It changes nothing.

Exit status: 0 everything is as it was signed; 1 something is not, and the first finding is named; 2 it could not be checked.
"""

import argparse
import hashlib
import json
import os
import struct
import sys
from binascii import Error as Base64Error, a2b_base64

sha256 = hashlib.sha256


# ------------------------------------------------------------------------------------------------------------------------
# Ed25519, verification only (RFC 8032 section 5.1.7), in extended coordinates (x, y, z, t) with x*y = z*t.

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_1 = pow(2, (P - 1) // 4, P)


def add(a, b):
    """The sum of two points (section 5.1.4)."""
    e = (a[1] - a[0]) * (b[1] - b[0]) % P
    f = (a[1] + a[0]) * (b[1] + b[0]) % P
    g = 2 * a[3] * b[3] * D % P
    h = 2 * a[2] * b[2] % P
    i, j, k, m = f - e, h - g, h + g, f + e
    return (i * j % P, k * m % P, j * k % P, i * m % P)


def times(n, point):
    total = (0, 1, 1, 0)
    while n:
        if n & 1:
            total = add(total, point)
        point = add(point, point)
        n >>= 1
    return total


def same(a, b):
    return (a[0] * b[2] - b[0] * a[2]) % P == 0 and (a[1] * b[2] - b[1] * a[2]) % P == 0


def point_of(text):
    """The point that 32 bytes stand for (section 5.1.3); None if they stand for none."""
    y = int.from_bytes(text, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_1 % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return (x, y, 1, x * y % P)


BASE_Y = 4 * pow(5, P - 2, P) % P
BASE = point_of(BASE_Y.to_bytes(32, "little"))


def is_signed(key, message, signature):
    """Did the owner of this public key sign this message?"""
    owner, nonce = point_of(key), point_of(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if len(signature) != 64 or owner is None or nonce is None or s >= ORDER:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % ORDER
    return same(times(s, BASE), add(nonce, times(h, owner)))


# ------------------------------------------------------------------------------------------------------------------------
# The tree hash of a segment (RFC 9162 section 2.1).


class Tree:
    """The roots of the complete subtrees so far, the largest first, each with its size."""

    def __init__(self):
        self.peaks = []

    def push(self, link):
        size, root = 1, sha256(b"\0" + link).digest()
        peaks = self.peaks
        while peaks and peaks[-1][0] == size:
            root = sha256(b"\1" + peaks.pop()[1] + root).digest()
            size *= 2
        peaks.append((size, root))

    def root(self):
        root = self.peaks[-1][1]
        for _, left in reversed(self.peaks[:-1]):
            root = sha256(b"\1" + left + root).digest()
        return root


def root_of(link, index, size, path):
    """Where a path leads to from this entry (section 2.1.3.2); None if it has not the length that it must have."""
    place, last, root = index, size - 1, sha256(b"\0" + link).digest()
    for beside in path:
        if last == 0:
            return None
        if place & 1 or place == last:
            root = sha256(b"\1" + beside + root).digest()
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            root = sha256(b"\1" + root + beside).digest()
        place, last = place >> 1, last >> 1
    return root if last == 0 else None


# ------------------------------------------------------------------------------------------------------------------------
# The documents.


class Finding(Exception):
    """Something is not as it was signed."""


class Unreadable(Exception):
    """It cannot be checked."""


def unhex(value, size, what):
    if not isinstance(value, str) or len(value) != 2 * size:
        raise Finding(f"{what} is not {2 * size} hexadecimal digits")
    try:
        return bytes.fromhex(value)
    except ValueError:
        raise Finding(f"{what} is not {2 * size} hexadecimal digits") from None


def number(value, what):
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**64:
        raise Finding(f"{what} is no number of 64 bits")
    return value


def rows_in_words(first, last):
    return f"row {first} is" if first == last else f"rows {first} to {last} are"


class Checkpoint:
    def __init__(self, line, where):
        try:
            doc = json.loads(line)
        except ValueError:
            raise Finding(f"{where} cannot be read") from None
        if not isinstance(doc, dict) or doc.get("format") != "RialtoC1":
            raise Finding(f"{where} is no checkpoint of the format RialtoC1")
        self.where = where
        self.node = unhex(doc.get("node"), 16, f"{where}: node")
        self.epoch, self.first, self.last, at = (
            number(doc.get(name), f"{where}: {name}") for name in ("epoch", "first", "last", "at")
        )
        self.link, self.root, self.previous, self.key = (
            unhex(doc.get(name), 32, f"{where}: {name}") for name in ("link", "root", "previous", "key")
        )
        self.signature = unhex(doc.get("signature"), 64, f"{where}: signature")
        numbers = struct.pack(">QQQ", self.epoch, self.first, self.last)
        tail = self.link + self.root + struct.pack(">Q", at) + self.previous
        self.signed = b"RialtoC1" + self.node + numbers + tail
        self.size = self.last - self.first + 1


def read_manifest(directory, keys):
    path = os.path.join(directory, "manifest.json")
    try:
        with open(path, "rb") as file:
            text = file.read()
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror}: this is no export") from None
    try:
        manifest = json.loads(text)
    except ValueError:
        raise Finding("manifest.json cannot be read") from None
    if not isinstance(manifest, dict) or manifest.get("format") != "RialtoX1":
        raise Unreadable("manifest.json is not of the format RialtoX1: this program is for another one")
    try:
        with open(os.path.join(directory, "manifest.sig"), "r", encoding="ascii") as file:
            signature = unhex(file.read().strip(), 64, "manifest.sig")
    except (OSError, UnicodeError):
        raise Finding("manifest.sig is missing or cannot be read") from None
    key = unhex(manifest.get("key"), 32, "manifest.json: key")
    if keys and key not in keys:
        raise Finding(f"the manifest is signed with another key than the expected one: {key.hex()}")
    if not is_signed(key, b"RialtoX1" + sha256(text).digest(), signature):
        raise Finding("manifest.json was changed: its signature is not that of its key")
    unhex(manifest.get("node"), 16, "manifest.json: node")
    for name in ("rows", "first", "last"):
        number(manifest.get(name), f"manifest.json: {name}")
    if manifest.get("claim") not in ("rows", "conversations", "selection"):
        raise Finding("manifest.json: claim is none of rows, conversations, selection")
    if not isinstance(manifest.get("withheld", ""), str):
        raise Finding("manifest.json: withheld is no text")
    if not isinstance(manifest.get("files"), dict):
        raise Finding("manifest.json lists no files")
    return manifest


def read_checkpoints(directory, node, keys, progress):
    """All checkpoints, each proved by its signature and by the one after it."""
    checkpoints, before = [], None
    try:
        file = open(os.path.join(directory, "checkpoints.jsonl"), "rb")
    except OSError:
        raise Finding("checkpoints.jsonl is missing") from None
    with file:
        for count, line in enumerate(file, 1):
            one = Checkpoint(line, f"checkpoints.jsonl, line {count}")
            closes = f"the checkpoint that closes row {one.last}"
            if not is_signed(one.key, one.signed, one.signature):
                raise Finding(f"{closes} was changed: its signature is not that of its key")
            if keys and one.key not in keys:
                raise Finding(f"{closes} is signed with another key than the expected one: {one.key.hex()}")
            if one.node != node:
                raise Finding(f"{closes} is of another node")
            if one.first < 1 or one.last < one.first or one.epoch < 1:
                raise Finding(f"{closes} closes nothing")
            if before is None:
                if one.first == 1 and any(one.previous):
                    raise Finding(f"{closes} names one before it, and is the first")
            elif one.first != before.last + 1 or one.previous != sha256(before.signed).digest():
                raise Finding(f"a checkpoint before the one that closes row {one.last} is missing")
            elif one.epoch < before.epoch:
                raise Finding(f"{closes} is of an earlier epoch than the one before it")
            checkpoints.append(one)
            before = one
            progress(f"checkpoint {count}")
    return checkpoints


# ------------------------------------------------------------------------------------------------------------------------
# The rows.

FIXED = struct.Struct(">8s16sQQ32sBQQQ32s32sQ")
ZEROS = bytes(32)


class Row:
    """A line of rows.jsonl or acts.jsonl: its link is that of its fields."""

    def __init__(self, node, line, where):
        try:
            row = json.loads(line)
            self.seq, self.epoch, self.kind, self.at = row["seq"], row["epoch"], row["kind"], row["at"]
            self.conversation, self.counter = row["conversation"], row["counter"]
            self.conversation_prev, self.prev = bytes.fromhex(row["conversation_prev"]), bytes.fromhex(row["prev"])
            self.link, self.digest = bytes.fromhex(row["link"]), bytes.fromhex(row["digest"])
            self.salt, self.body, self.head = row["salt"], row["body"], a2b_base64(row["head"])
            fixed = FIXED.pack(
                b"RialtoR1", node, self.epoch, self.seq, self.prev, self.kind, self.at, self.conversation, self.counter,
                self.conversation_prev, self.digest, len(self.head)
            )
            sizes = len(self.prev), len(self.link), len(self.digest), len(self.conversation_prev)
        except (KeyError, TypeError, ValueError, Base64Error, struct.error):
            raise Finding(f"{where} cannot be read") from None
        if sizes != (32, 32, 32, 32):
            raise Finding(f"row {self.seq} was changed: a digest has not its length")
        self.proof = row.get("proof")
        self.is_good = sha256(fixed + self.head).digest() == self.link

    def is_among(self, segment):
        """Does its path lead to the root of this segment?"""
        if not isinstance(self.proof, list):
            return False
        path = [unhex(one, 32, f"row {self.seq}: proof") for one in self.proof]
        return root_of(self.link, self.seq - segment.first, segment.size, path) == segment.root


def segment_of(checkpoints, seq, low=0):
    """The place of the checkpoint that closes this row, looked for from a place on: few rows may be far apart, so halve."""
    high = len(checkpoints)
    while low < high:
        middle = (low + high) // 2
        if checkpoints[middle].last < seq:
            low = middle + 1
        else:
            high = middle
    if low == len(checkpoints) or checkpoints[low].first > seq:
        raise Finding(f"row {seq} belongs to no checkpoint of the export")
    return low


def runs(text):
    """Runs of rows such as 1-5,9: the first and the last of each; none where it is no such text."""
    found = []
    try:
        for run in filter(None, text.split(",")):
            first, _, last = run.partition("-")
            found.append((int(first), int(last or first)))
    except (AttributeError, ValueError):
        return []
    return found


class Bare:
    """Rows without content: a bit for each row, from the first of them on."""

    def __init__(self, keys):
        self.first, self.bits, self.count = None, bytearray(), 0
        self.keys = keys
        # Acts without a signature, each with the rows that it names, and the first one with a signature.
        self.unsigned, self.signed = [], None

    def add(self, seq):
        if self.first is None:
            self.first = seq
        byte, bit = divmod(seq - self.first, 8)
        if byte >= len(self.bits):
            self.bits.extend(bytes(byte + 1 - len(self.bits)))
        self.bits[byte] |= 1 << bit
        self.count += 1

    def allow(self, first, last):
        """Takes these away, and says how many there were."""
        if self.first is None:
            return 0
        first, last = max(first - self.first, 0), min(last - self.first, 8 * len(self.bits) - 1)
        if last < first:
            return 0
        begin, end = first // 8, last // 8 + 1
        some = int.from_bytes(self.bits[begin:end], "little")
        allowed = some & (((1 << (last - first + 1)) - 1) << (first % 8))
        if allowed:
            self.bits[begin:end] = (some ^ allowed).to_bytes(end - begin, "little")
        count = bin(allowed).count("1")
        self.count -= count
        return count

    def left(self):
        """The first that is left."""
        byte = len(self.bits) - len(self.bits.lstrip(b"\0"))
        bits = self.bits[byte]
        return self.first + 8 * byte + (bits & -bits).bit_length() - 1

    def hear(self, node, row):
        """An act may say that content of rows before it was destroyed."""
        if row.kind != 3 or (b'"destruction"' not in row.head and b'"retention"' not in row.head):
            return
        good, key, named, to = True, None, [], 0
        try:
            act = json.loads(row.head)
            gone, ruled = act.get("destruction"), act.get("retention")
            if gone is not None and gone.get("key") is not None:
                key = bytes.fromhex(gone["key"])
                texts = [gone[name].encode() for name in ("rule", "rows")]
                signed = b"RialtoD1" + node + struct.pack(">QQ", row.epoch, row.at)
                signed += b"".join(struct.pack(">Q", len(text)) + text for text in texts) + struct.pack(">Q", gone["count"])
                good = is_signed(key, signed, bytes.fromhex(gone["signature"]))
            named = [(first, min(last, row.seq - 1)) for first, last in runs(gone.get("rows"))] if gone is not None else []
            to = min(ruled["to"], row.seq - 1) if ruled is not None else 0
        except (AttributeError, KeyError, TypeError, ValueError, struct.error):
            good = False
        if not good:
            raise Finding(f"row {row.seq} says that content was destroyed, and its signature is not that of its key")
        if key is not None and self.keys and key not in self.keys:
            raise Finding(f"row {row.seq} says that content was destroyed, and is signed with another key than the expected one: {key.hex()}")
        if key is not None:
            self.signed = min(row.seq, self.signed or row.seq)
            for first, last in named:
                self.allow(first, last)
        # Those that must have been signed allow nothing.
        some = named if key is None and not self.keys else []
        if some or to:
            self.unsigned.append((row.seq, some, to))

    def end(self):
        """From the first act with a signature on, those without allow nothing: anybody could have added them."""
        for seq, named, to in self.unsigned:
            if self.signed is None or seq < self.signed:
                for first, last in [*named, (1, to)]:
                    self.allow(first, last)


class Rows:
    """Goes along with the rows of an export."""

    def __init__(self, manifest, checkpoints, keys):
        self.node = bytes.fromhex(manifest["node"])
        self.claim, self.checkpoints = manifest["claim"], checkpoints
        self.count = self.first = self.seq = 0
        self.link, self.epoch = None, 0
        self.acts, self.bare, self.gone = 0, Bare(keys), 0
        # Of each conversation: counter and link of its last row here.
        self.conversations = {}
        # Of the segment that is being read: its checkpoint, the tree so far, its next row, the first row without a path.
        self.at, self.tree, self.next, self.unproved = -1, None, 0, None
        self.segments = 0

    def begin_segment(self, seq):
        """The checkpoint that closes this row."""
        self.end_segment()
        self.at = segment_of(self.checkpoints, seq, self.at + 1)
        self.tree, self.next, self.unproved = Tree(), self.checkpoints[self.at].first, None
        self.segments += 1

    def end_segment(self):
        """Rows without a path are proved by their whole segment."""
        if self.unproved is None:
            return
        segment = self.checkpoints[self.at]
        if self.next != segment.last + 1:
            missing = rows_in_words(self.next, segment.last)
            raise Finding(f"{missing} missing, and row {self.unproved} cannot be proved without")
        if self.tree.root() != segment.root:
            raise Finding(f"rows {segment.first} to {segment.last} are not those that were signed")

    def step(self, line):
        row = Row(self.node, line, f"line {self.count + 1} of rows.jsonl (after row {self.seq})")
        seq, epoch, link = row.seq, row.epoch, row.link
        if seq <= self.seq:
            raise Finding(f"row {seq} comes twice or out of order: it stands after row {self.seq}")
        follows = self.count and seq == self.seq + 1
        if self.count and not follows and self.claim == "rows":
            raise Finding(f"{rows_in_words(self.seq + 1, seq - 1)} missing")
        if not row.is_good:
            raise Finding(f"row {seq} was changed: its link is not that of its fields")
        if follows and row.prev != self.link:
            raise Finding(f"row {seq} was written after another row than the one before it")
        if seq == 1 and row.prev != sha256(b"RialtoG1" + self.node + struct.pack(">Q", 1)).digest():
            raise Finding("row 1 does not begin the chain of this node")
        if self.count and epoch != self.epoch:
            self.begin_epoch(seq, epoch, row.kind, row.head, follows)
        if row.salt is None and row.body is None:
            self.bare.add(seq)
            self.gone += 1
        elif row.salt is None or row.body is None:
            raise Finding(f"the content of row {seq} is there in part only")
        else:
            self.check_body(seq, row.salt, row.body, row.digest)
        self.bare.hear(self.node, row)
        if row.conversation and self.claim != "selection":
            self.check_conversation(seq, row.conversation, row.counter, row.conversation_prev, link)
        self.check_segment(row)
        self.count += 1
        self.acts += row.kind == 3
        if self.count == 1:
            self.first = seq
        self.seq, self.link, self.epoch = seq, link, epoch

    def begin_epoch(self, seq, epoch, kind, head, follows):
        """A node that was put back from a backup says so in the first row of the new epoch."""
        if epoch < self.epoch:
            raise Finding(f"row {seq} is of an earlier epoch than row {self.seq}")
        if not follows:
            return
        try:
            named = json.loads(head)["restore"]["epoch"] if kind == 3 else None
        except (ValueError, KeyError, TypeError):
            named = None
        if named != epoch:
            raise Finding(f"row {seq} is of epoch {epoch}, and no row says that it began")

    @staticmethod
    def check_body(seq, salt, body, digest):
        try:
            salt, body = bytes.fromhex(salt), a2b_base64(body)
        except (TypeError, ValueError, Base64Error):
            raise Finding(f"the content of row {seq} cannot be read") from None
        if len(salt) != 16 or sha256(salt + body).digest() != digest:
            raise Finding(f"the content of row {seq} was changed")

    def check_conversation(self, seq, conversation, counter, before, link):
        last = self.conversations.get(conversation)
        if last is not None:
            if counter != last[0] + 1:
                raise Finding(f"row {seq} should be number {last[0] + 1} of its conversation, and is {counter}: one is missing")
            if before != last[1]:
                raise Finding(f"row {seq} does not follow the row before it in its conversation")
        elif counter == 1 and before != ZEROS:
            raise Finding(f"row {seq} is the first of its conversation, and names one before it")
        elif counter != 1 and self.claim == "rows" and (self.first or seq) == 1:
            raise Finding(f"row {seq} should be the first of its conversation, and is number {counter}")
        self.conversations[conversation] = (counter, link)

    def check_segment(self, row):
        seq, link = row.seq, row.link
        if self.at < 0 or seq > self.checkpoints[self.at].last:
            self.begin_segment(seq)
        segment = self.checkpoints[self.at]
        if row.epoch != segment.epoch:
            raise Finding(f"row {seq} is of another epoch than the checkpoint that closes it")
        if seq == self.next:
            self.tree.push(link)
            self.next += 1
        elif row.proof is None or self.unproved is not None:
            lacking = seq if self.unproved is None else self.unproved
            missing = rows_in_words(self.next, seq - 1)
            raise Finding(f"{missing} missing, and row {lacking} cannot be proved without")
        if row.proof is None:
            if self.unproved is None:
                self.unproved = seq
        elif not row.is_among(segment):
            raise Finding(f"row {seq} is not among those that were signed: its path does not lead to the root")
        if seq == segment.last and link != segment.link:
            raise Finding(f"row {seq} is not the row that its checkpoint closes")

    def end(self, manifest):
        if self.seq < manifest["last"]:
            raise Finding(f"rows.jsonl ends with row {self.seq}, and should end with row {manifest['last']}: the end is missing")
        self.end_segment()
        if (self.first, self.seq) != (manifest["first"], manifest["last"]):
            raise Finding(f"rows.jsonl has rows {self.first} to {self.seq}, and not {manifest['first']} to {manifest['last']}")
        if self.count != manifest["rows"]:
            raise Finding(f"rows.jsonl has {self.count} rows, and should have {manifest['rows']}")


def check_rows(directory, manifest, checkpoints, keys, progress):
    """Proves every row, and gives what was seen, the file's digest and its size."""
    rows, digest, size = Rows(manifest, checkpoints, keys), sha256(), 0
    try:
        file = open(os.path.join(directory, "rows.jsonl"), "rb", buffering=1 << 20)
    except OSError:
        raise Finding("rows.jsonl is missing") from None
    total = manifest["rows"]
    with file:
        for line in file:
            digest.update(line)
            size += len(line)
            rows.step(line)
            if rows.count % 10_000 == 0:
                progress(f"row {rows.count} of {total}")
    rows.end(manifest)
    return rows, digest.hexdigest(), size


def check_bare(directory, manifest, checkpoints, rows):
    """Whether it is said of every row without content why it has none; says of how many it is withheld."""
    bare, withheld = rows.bare, 0
    if "acts.jsonl" in manifest["files"]:
        before = 0
        try:
            file = open(os.path.join(directory, "acts.jsonl"), "rb")
        except OSError:
            raise Finding("acts.jsonl is missing") from None
        with file:
            for count, line in enumerate(file, 1):
                act = Row(rows.node, line, f"line {count} of acts.jsonl")
                if act.seq <= before:
                    raise Finding(f"acts.jsonl: row {act.seq} comes twice or out of order")
                if not act.is_good:
                    raise Finding(f"acts.jsonl: row {act.seq} was changed: its link is not that of its fields")
                segment = checkpoints[segment_of(checkpoints, act.seq)]
                if act.epoch != segment.epoch or not act.is_among(segment):
                    raise Finding(f"acts.jsonl: row {act.seq} is not among those that were signed")
                bare.hear(rows.node, act)
                before = act.seq
    bare.end()
    for first, last in runs(manifest.get("withheld", "")):
        withheld += bare.allow(first, last)
    # An export of before there was this member does not say what is withheld.
    if bare.count and "withheld" in manifest:
        what = "no act says that it was destroyed, nor the manifest that it is withheld"
        raise Finding(f"the content of row {bare.left()} is not here, and {what}")
    return withheld


# ------------------------------------------------------------------------------------------------------------------------
# The files.


def hash_file(path):
    digest, size = sha256(), 0
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
            size += len(piece)
    return digest.hexdigest(), size


def check_files(directory, manifest, known, progress):
    """Every file is as the manifest says, and there is no other. `known` are digests that were computed already."""
    listed = manifest["files"]
    there = set()
    for folder, _, names in os.walk(directory):
        for name in names:
            path = os.path.relpath(os.path.join(folder, name), directory)
            there.add(path.replace(os.sep, "/"))
    there -= {"manifest.json", "manifest.sig"}
    for name in sorted(listed):
        says = listed[name]
        if name not in there:
            raise Finding(f"the file {name} is missing")
        path = os.path.join(directory, *name.split("/"))
        if os.path.islink(path):
            raise Finding(f"the file {name} is a link to somewhere else")
        found = known.get(name) or hash_file(path)
        if not isinstance(says, dict) or (says.get("sha256"), says.get("size")) != found:
            raise Finding(f"the file {name} is not as the manifest says")
        if name.startswith("blobs/") and name.rsplit("/", 1)[1] != found[0]:
            raise Finding(f"the file {name} has not the content that its name says")
        progress(f"file {name}")
    # What Python leaves behind when this program lies within the export is no part of it.
    more = sorted(name for name in there - set(listed) if not name.startswith("__pycache__/"))
    if more:
        raise Finding(f"the file {more[0]} is not listed in the manifest")
    return len(listed)


# ------------------------------------------------------------------------------------------------------------------------


class Progress:
    def __init__(self, quiet):
        self.shown = not quiet and sys.stderr.isatty()

    def __call__(self, text):
        if self.shown:
            sys.stderr.write(f"\r\033[K{text}")

    def clear(self):
        if self.shown:
            sys.stderr.write("\r\033[K")


CLAIMS = {
    "rows": "every row from {first} to {last} is here",
    "conversations": "no row is missing between the first and the last of each conversation here",
    "selection": "each row here was in the record; nothing is claimed of what lies between",
}


def verify(directory, keys, progress):
    findings = []

    def attempt(work, *args):
        try:
            return work(*args)
        except Finding as finding:
            findings.append(str(finding))
            return None

    try:
        manifest = read_manifest(directory, keys)
        node = bytes.fromhex(manifest["node"])
        checkpoints = read_checkpoints(directory, node, keys, progress)
    except Finding as finding:
        return [str(finding)], []
    # Rows first: they name what a changed file does not.
    seen = attempt(check_rows, directory, manifest, checkpoints, keys, progress)
    withheld = attempt(check_bare, directory, manifest, checkpoints, seen[0]) if seen else 0
    known = {"rows.jsonl": seen[1:]} if seen else {}
    files = attempt(check_files, directory, manifest, known, progress)
    if findings:
        return findings, []
    rows = seen[0]
    signers = sorted({one.key.hex() for one in checkpoints} | {manifest["key"].lower()})
    lines = [
        f"{rows.count} rows, {rows.acts} of them acts; {files} files; {len(checkpoints)} checkpoints, rows of {rows.segments} of them",
        "claim: " + CLAIMS[manifest["claim"]].format(**manifest),
    ]
    gone = rows.gone - withheld - rows.bare.count
    if gone:
        lines.append(f"{gone} rows are without content: it was destroyed, and acts on record say so")
    if withheld:
        lines.append(f"{withheld} rows are without content: it is withheld, as the manifest says")
    if rows.bare.count:
        lines.append(f"{rows.bare.count} rows are without content, and this export is too old to say why")
    for key in signers:
        whose = "as expected" if keys else "NOT COMPARED with anything: give --key"
        lines.append(f"signed by {key}, {whose}")
    return [], lines


def main():
    parser = argparse.ArgumentParser(description="Verifies an export of a Rialto record. See FORMAT.md.")
    parser.add_argument("directory", help="the export")
    parser.add_argument("--key", action="append", default=[], help="the public key that must have signed; may be repeated")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    options = parser.parse_args()
    progress = Progress(options.quiet)
    try:
        try:
            keys = {unhex(key, 32, f"--key {key}") for key in options.key}
        except Finding as wrong:
            raise Unreadable(str(wrong)) from None
        findings, lines = verify(options.directory, keys, progress)
    except (Unreadable, OSError) as why:
        progress.clear()
        print(f"CANNOT BE CHECKED: {why}")
        return 2
    progress.clear()
    for finding in findings:
        print(f"NOT AS IT WAS SIGNED: {finding}")
    for line in lines:
        print(line)
    if not findings:
        print("verified: everything is as it was signed")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
