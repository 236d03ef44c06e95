"""A real XMPP client (slixmpp) that a test drives with lines of text.

Commands arrive on standard input, events leave on standard output, one a line:

    send TO TEXT        online             message FROM TEXT
    add WHO             offline            presence FROM SHOW [STATUS]
    approve WHO         failed REASON      ask WHO
    deny WHO            error WHO REASON   granted WHO / denied WHO
    show SHOW [STATUS]  roster N           pong SECONDS
    quit                delivered FROM ID  (XEP-0184)
    ping, disco [WHO]   here               typing FROM
    typing TO           features NAME...   acked TEXT    (XEP-0198)
    receipt TO TEXT     carbon WITH TEXT
    carbons             carbons            stream-management
    cut                 resumed            not-resumed
    vanish, connect
    upload FILE TYPE    uploaded URL / refused WHY    (XEP-0363)
    fetch URL           fetched STATUS BYTES SHA-256 WORDS
    publish SERVICE NODE ITEM, retract SERVICE NODE ITEM    published ITEM, retracted ITEM / refused WHY    (XEP-0060)
    report WHO          reported WHO    (XEP-0191, XEP-0377)
"""

import argparse
import asyncio
import hashlib
import logging
import pathlib
import ssl
import sys
from xml.etree import ElementTree as ET

import aiohttp
import slixmpp

STANZAS = "{urn:ietf:params:xml:ns:xmpp-stanzas}"
PUBSUB = "{http://jabber.org/protocol/pubsub}"


def say(*words):
    """Print one event."""
    line = " ".join(str(word) for word in words)
    print(line.replace("\r", "").replace("\n", "\\n"), flush=True)


class Peer(slixmpp.ClientXMPP):
    """Prints what happens; never decides anything itself."""

    def __init__(self, options):
        super().__init__(options.jid, options.password)
        self.options = options
        self.vanished = []
        self.enable_direct_tls = options.direct
        self.enable_starttls = not options.direct
        if options.ca:
            self.ca_certs = options.ca
        else:
            # What the server shows to other servers may be bad on purpose.
            self.ssl_context.check_hostname = False
            self.ssl_context.verify_mode = ssl.CERT_NONE
        # Approving is what the tests are about: slixmpp must not do it unasked.
        self.auto_authorize = None
        self.auto_subscribe = False
        for plugin in ("xep_0030", "xep_0085", "xep_0184", "xep_0199", "xep_0203", "xep_0280", "xep_0363"):
            self.register_plugin(plugin)
        self.plugin["xep_0184"].auto_ack = True
        if options.stream_management:
            # Ask for an acknowledgement of every stanza: a test waits for one.
            self.register_plugin("xep_0198", {"window": 1})
        handlers = {
            "session_start": self.started,
            "disconnected": lambda why: say("offline", why or ""),
            "failed_all_auth": self.refused,
            "ssl_invalid_chain": lambda why: say("failed", "tls", why),
            "connection_failed": lambda why: say("failed", "connect", why),
            "message": self.message,
            "message_error": self.error,
            "presence_error": self.error,
            "presence_subscribe": lambda p: say("ask", p["from"].bare),
            "presence_subscribed": lambda p: say("granted", p["from"].bare),
            "presence_unsubscribed": lambda p: say("denied", p["from"].bare),
            "receipt_received": lambda m: say("delivered", m["from"].bare, m["receipt"]),
            "chatstate_composing": lambda m: say("typing", m["from"].bare),
            "carbon_sent": lambda m: say("carbon", m["carbon_sent"]["to"].bare, m["carbon_sent"]["body"]),
            "carbon_received": lambda m: say("carbon", m["carbon_received"]["from"].bare, m["carbon_received"]["body"]),
            "stanza_acked": self.acked,
            "sm_enabled": lambda _: say("stream-management"),
            "session_resumed": lambda _: say("resumed"),
            "sm_failed": lambda _: say("not-resumed"),
        }
        for show in ("available", "chat", "away", "xa", "dnd", "unavailable"):
            handlers[f"presence_{show}"] = self.presence
        for event, handler in handlers.items():
            self.add_event_handler(event, handler)

    async def started(self, _event):
        """The session is bound: fetch the roster, then say so to the test and to the world."""
        try:
            await self.get_roster()
            say("roster", len(self.client_roster.keys()))
        except slixmpp.exceptions.IqError as fault:
            say("error", "roster", fault.condition)
        self.send_presence()
        say("online", self.boundjid.full)

    async def refused(self, _event):
        """No mechanism worked; slixmpp would otherwise try again for ever."""
        say("failed", "auth")
        await self.disconnect()

    def message(self, stanza):
        """Bodies only; chat states and receipts have their own events."""
        if stanza["type"] in ("chat", "normal") and stanza["body"]:
            late = "delayed" if stanza.get_plugin("delay", check=True) else "live"
            say("message", stanza["from"].bare, stanza["body"])
            say("envelope", stanza["type"], late, stanza["from"].full)

    def error(self, stanza):
        """A stanza came back. Not every condition is known to slixmpp."""
        names = [child.tag.partition("}")[2] for child in stanza["error"].xml if child.tag.startswith(STANZAS)]
        say("error", stanza["from"].bare, next((name for name in names if name != "text"), ""))

    def acked(self, stanza):
        """The server has taken over (XEP-0198)."""
        if isinstance(stanza, slixmpp.Message):
            say("acked", stanza["body"])

    def presence(self, stanza):
        """Presence of others; the echo of our own shows that the server knows that we are here."""
        if stanza["from"].full == self.boundjid.full:
            say("here")
        elif stanza["from"].bare != self.boundjid.bare:
            say("presence", stanza["from"].bare, stanza["type"], stanza["status"])

    async def upload(self, file, kind):
        """Find the service, ask for a slot, put the file there; all of it is slixmpp's own."""
        plugin = self.plugin["xep_0363"]
        try:
            say("uploaded", await plugin.upload_file(file.name, content_type=kind, input_file=file.open("rb"), timeout=30))
        except slixmpp.exceptions.IqError as fault:
            say("refused", fault.condition, fault.text)
        except slixmpp.plugins.xep_0363.http_upload.FileUploadError as fault:
            say("refused", type(fault).__name__, *fault.args)

    async def publish(self, service, node, item, comes):
        """Put an item into a node of a publish-subscribe service, or take it out; its subscribers are told."""
        iq = self.make_iq_set(ito=service)
        pubsub = ET.SubElement(iq.xml, f"{PUBSUB}pubsub")
        verb = ET.SubElement(pubsub, PUBSUB + ("publish" if comes else "retract"), {"node": node})
        entry = ET.SubElement(verb, f"{PUBSUB}item", {"id": item})
        if comes:
            ET.SubElement(entry, "{urn:xmpp:reporting:1}report", {"reason": "urn:xmpp:reporting:spam"})
        else:
            verb.set("notify", "true")
        try:
            await iq.send(timeout=30)
            say("published" if comes else "retracted", item)
        except slixmpp.exceptions.IqError as fault:
            say("refused", fault.condition, fault.text)

    async def report(self, who):
        """Block somebody and say why (XEP-0377)."""
        iq = self.make_iq_set()
        block = ET.SubElement(iq.xml, "{urn:xmpp:blocking}block")
        item = ET.SubElement(block, "{urn:xmpp:blocking}item", {"jid": who})
        ET.SubElement(item, "{urn:xmpp:reporting:1}report", {"reason": "urn:xmpp:reporting:spam"})
        await iq.send(timeout=30)
        say("reported", who)

    async def command(self, line):
        """Carry out one line."""
        verb, _, rest = line.partition(" ")
        who, _, text = rest.partition(" ")
        if verb == "send":
            self.send_message(mto=who, mbody=text.replace("\\n", "\n"), mtype="chat")
        elif verb == "receipt":
            note = self.make_message(mto=who, mbody=text, mtype="chat")
            note["request_receipt"] = True
            note.send()
        elif verb == "typing":
            note = self.make_message(mto=who, mtype="chat")
            note["chat_state"] = "composing"
            note.send()
        elif verb == "add":
            self.send_presence_subscription(pto=who, ptype="subscribe")
        elif verb == "approve":
            self.send_presence_subscription(pto=who, ptype="subscribed")
        elif verb == "deny":
            self.send_presence_subscription(pto=who, ptype="unsubscribed")
        elif verb == "show":
            show = None if who == "available" else who
            self.send_presence(pshow=show, pstatus=text or None)
        elif verb == "carbons":
            await self.plugin["xep_0280"].enable()
            say("carbons")
        elif verb == "ping":
            say("pong", await self.plugin["xep_0199"].ping(who or self.boundjid.domain, timeout=10))
        elif verb == "disco":
            info = await self.plugin["xep_0030"].get_info(jid=who or self.boundjid.domain, timeout=10)
            say("features", *sorted(info["disco_info"]["features"]))
        elif verb in ("publish", "retract"):
            node, _, item = text.partition(" ")
            await self.publish(who, node, item, verb == "publish")
        elif verb == "report":
            await self.report(who)
        elif verb == "upload":
            await self.upload(pathlib.Path(who), text)
        elif verb == "fetch":
            async with aiohttp.ClientSession() as session, session.get(who) as answer:
                body = await answer.read()
                words = body[:200].decode(errors="replace") if answer.status >= 400 else ""
                say("fetched", answer.status, len(body), hashlib.sha256(body).hexdigest(), words)
        elif verb == "cut":
            self.abort()
        elif verb == "vanish":
            # The connection stays open, and nobody reads it any more.
            self.vanished.append((self.transport, self.socket))
            self.transport.pause_reading()
            self.connection_lost(None)
        elif verb == "connect":
            self.connect(host=self.options.host, port=self.options.port)
        elif verb == "quit":
            await self.disconnect()
        else:
            say("error", "command", verb)


async def main(options):
    """Connect, then obey until the input ends."""
    peer = Peer(options)
    peer.connect(host=options.host, port=options.port)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        word = line.decode().rstrip("\n")
        try:
            await peer.command(word)
        except Exception as fault:  # a failed command is an event of its own
            say("error", "command", type(fault).__name__, fault)
        if word == "quit":
            return
    await peer.disconnect()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("jid")
    parser.add_argument("--password", required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ca")
    parser.add_argument("--direct", action="store_true", help="TLS from the first byte")
    parser.add_argument("--stream-management", action="store_true")
    logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
    asyncio.run(main(parser.parse_args()))
