"""A real mail server (aiosmtpd) that tells what happens, one event a line:

    listening            mail FROM TO SECURED    (SECURED: tls or clear)
    login NAME welcome / login NAME refused
                         text LINE               (of the mail before, its plain text, line by line)

Mail is taken over TLS alone, from whoever has logged in, and only with the words of the password.
"""

import argparse
import asyncio
import email
import email.policy
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult


def say(*words):
    """Print one event."""
    print(" ".join(str(word) for word in words).replace("\r", "").replace("\n", "\\n"), flush=True)


class Taker:
    """Takes every mail."""

    async def handle_DATA(self, server, session, envelope):
        """A whole mail has come."""
        secured = "tls" if server.transport.get_extra_info("sslcontext") else "clear"
        say("mail", envelope.mail_from, ",".join(envelope.rcpt_tos), secured)
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        text = mail.get_body(("plain",))
        for line in (text.get_content() if text else "").splitlines():
            say("text", line)
        for part in mail.iter_attachments():
            say("attached", part.get_filename())
        return "250 taken"


def main(options):
    """Listen until the input ends."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(options.chain, options.key)

    def check(_server, _session, _envelope, _mechanism, data):
        fits = data.password.decode() == options.password
        say("login", data.login.decode(), "welcome" if fits else "refused")
        return AuthResult(success=fits, handled=False)

    def machine():
        return SMTP(
            Taker(),
            hostname="mail.example",
            tls_context=None if options.direct else context,
            require_starttls=not options.direct,
            authenticator=check,
            auth_required=True,
            auth_require_tls=not options.direct,
        )

    async def serve():
        loop = asyncio.get_running_loop()
        await loop.create_server(machine, "127.0.0.1", options.port, ssl=context if options.direct else None)
        say("listening")
        await loop.run_in_executor(None, sys.stdin.read)

    asyncio.run(serve())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--chain", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--password", required=True)
    parser.add_argument("--direct", action="store_true", help="TLS from the first byte")
    main(parser.parse_args())
