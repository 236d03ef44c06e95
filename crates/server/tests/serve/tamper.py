"""Tampers with a server's data directory, as somebody does who has the machine: tamper.py DATA VERIFIER HOW [ROW]."""

import hashlib
import json
import os
import sqlite3
import struct
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
data, verifier, how = sys.argv[1:4]
sys.path.insert(0, verifier)
from verify import FIXED, Tree  # noqa: E402

db = sqlite3.connect(os.path.join(data, "rialto.db"))
(table,) = db.execute("SELECT name FROM month ORDER BY first DESC LIMIT 1").fetchone()
chain = db.execute("SELECT value FROM setting WHERE key = 'record.chain'").fetchone()[0]
row = int(sys.argv[4]) if len(sys.argv) > 4 else 0


def flip(column):
    (value,) = db.execute(f"SELECT {column} FROM {table} WHERE seq = ?", (row,)).fetchone()
    value = bytearray(value)
    value[len(value) // 2] ^= 1
    db.execute(f"UPDATE {table} SET {column} = ? WHERE seq = ?", (bytes(value), row))


def renumber(by):
    """All rows after this one, by one."""
    order = "DESC" if by > 0 else "ASC"
    for (seq,) in db.execute(f"SELECT seq FROM {table} WHERE seq > ? ORDER BY seq {order}", (row,)).fetchall():
        db.execute(f"UPDATE {table} SET seq = ? WHERE seq = ?", (seq + by, seq))


def rewrite(with_key):
    """Another content in this row, and fresh links from there on; with the key also fresh checkpoints and acts."""
    columns = "seq, at, kind, conversation, conversation_seq, conversation_prev, prev, link, digest, salt, head, body"
    prev, talks = None, {}
    segments = {last: json.loads(line) for last, line in db.execute("SELECT last, line FROM checkpoint")}
    fresh, tree, previous = {}, Tree(), bytes(32)
    for seq, at, kind, talk, counter, before, own, link, digest, salt, head, body in db.execute(
        f"SELECT {columns} FROM {table} ORDER BY seq"
    ).fetchall():
        if seq == row:
            body = body.replace(b"play", b"foul")
            digest = hashlib.sha256(salt + body).digest()
        if seq >= row:
            act = json.loads(head) if kind == 3 else {}
            if with_key and act.get("checkpoint", {}).get("last") in fresh:
                act["checkpoint"] = fresh[act["checkpoint"]["last"]]
                head = json.dumps(act).encode()
            own, before = prev, talks.get(talk, before if before is None else bytes(32))
            fixed = FIXED.pack(
                b"RialtoR1", chain[:16], int.from_bytes(chain[16:], "big"), seq, own, kind, at, talk, counter,
                before or bytes(32), digest, len(head),
            )
            link = hashlib.sha256(fixed + head).digest()
            values = (before, own, link, digest, head, body, seq)
            db.execute(
                f"UPDATE {table} SET conversation_prev=?, prev=?, link=?, digest=?, head=?, body=? WHERE seq=?", values
            )
        prev = link
        if talk:
            talks[talk] = link
        tree.push(link)
        if seq in segments:
            one = segments[seq]
            one.update(link=link.hex(), root=tree.root().hex(), previous=previous.hex())
            numbers = struct.pack(">QQQ", one["epoch"], one["first"], one["last"])
            signed = b"RialtoC1" + chain[:16] + numbers + link + tree.root() + struct.pack(">Q", one["at"]) + previous
            if with_key and seq >= row:
                one["signature"] = sign(signed).hex()
                db.execute("UPDATE checkpoint SET line = ? WHERE last = ?", (json.dumps(one), seq))
                fresh[seq] = one
            tree, previous = Tree(), hashlib.sha256(signed).digest()


def sign(text):
    with tempfile.NamedTemporaryFile() as file:
        file.write(text)
        file.flush()
        key = os.path.join(data, "checkpoint.key")
        return subprocess.run(
            ["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", key, "-in", file.name], check=True, capture_output=True
        ).stdout


def change_checkpoint():
    last, line = db.execute("SELECT last, line FROM checkpoint WHERE last >= ? ORDER BY last", (row,)).fetchone()
    doc = json.loads(line)
    doc["root"] = doc["root"][::-1]
    db.execute("UPDATE checkpoint SET line = ? WHERE last = ?", (json.dumps(doc), last))


def replace_blob():
    for folder, _, names in os.walk(os.path.join(data, "blobs")):
        for name in names:
            with open(os.path.join(folder, name), "r+b") as file:
                file.write(b"X")


def remove_blob():
    for folder, _, names in os.walk(os.path.join(data, "blobs")):
        for name in names:
            os.remove(os.path.join(folder, name))


def one(sql, *values):
    db.execute(sql.format(table=table), values)


HOW = {
    "head": lambda: flip("head"),
    "body": lambda: flip("body"),
    "link": lambda: flip("link"),
    "salt": lambda: flip("salt"),
    "delete": lambda: one("DELETE FROM {table} WHERE seq = ?", row),
    "close-gap": lambda: (one("DELETE FROM {table} WHERE seq = ?", row), renumber(-1)),
    "swap": lambda: (
        one("UPDATE {table} SET seq = -1 WHERE seq = ?", row),
        one("UPDATE {table} SET seq = ? WHERE seq = ?", row, row + 1),
        one("UPDATE {table} SET seq = ? WHERE seq = -1", row + 1),
    ),
    "insert": lambda: (
        renumber(1),
        one(
            "INSERT INTO {table} SELECT seq + 1, mailbox, at, kind, conversation, conversation_seq, conversation_prev, prev, link,"
            " digest, salt, head, body FROM {table} WHERE seq = ?",
            row,
        ),
    ),
    "erase": lambda: one("UPDATE {table} SET salt = NULL, body = NULL WHERE seq = ?", row),
    "truncate": lambda: one("DELETE FROM {table} WHERE seq > ?", row),
    "truncate-all": lambda: (
        one("DELETE FROM {table} WHERE seq > ?", row),
        one("DELETE FROM checkpoint WHERE last > ?", row),
    ),
    "rewrite": lambda: rewrite(False),
    "rewrite-with-key": lambda: rewrite(True),
    "change-checkpoint": change_checkpoint,
    "remove-checkpoint": lambda: one("DELETE FROM checkpoint WHERE last = (SELECT max(last) FROM checkpoint)"),
    "replace-blob": replace_blob,
    "remove-blob": remove_blob,
}
HOW[how]()
db.commit()
db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
