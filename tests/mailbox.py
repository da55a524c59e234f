"""Who gets the alerts: a mail server that speaks SMTP, and a server that takes webhooks.

Both are real: they listen on a port of this machine, and say what their protocols have them say.
"""

from __future__ import annotations

import json
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Mailbox:
    """What arrived, in the order in which it did. `refuses` makes both servers say no."""

    port: int = 0
    webhook: str = ""
    mails: list[Message] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    posts: list[dict] = field(default_factory=list)
    refuses: bool = False

    @property
    def connection(self) -> str:
        """The mail server as Airflow's connection `smtp_default`."""
        extra = {"disable_ssl": True, "disable_tls": True, "from_email": "statewide@example.gov",
                 "retry_limit": 1, "timeout": 5}  # fmt: skip
        return json.dumps(
            {"conn_type": "smtp", "host": "127.0.0.1", "port": self.port, "extra": extra}
        )

    def environment(self) -> dict[str, str]:
        """What Airflow is told, so that alerts arrive here."""
        return {
            "AIRFLOW_CONN_SMTP_DEFAULT": self.connection,
            "STATEWIDE_ALERT_EMAIL": "data@example.gov, desk@example.gov",
            "STATEWIDE_ALERT_WEBHOOK": self.webhook,
        }

    def subjects(self) -> list[str]:
        from email.header import decode_header, make_header

        return [
            str(make_header(decode_header(it["Subject"]))).replace("\n", "") for it in self.mails
        ]

    def text(self, number: int = -1) -> str:
        """The body of one mail, as a person reads it."""
        from html import unescape

        for part in self.mails[number].walk():
            if part.get_content_type() == "text/html":
                return unescape(part.get_payload(decode=True).decode())
        return self.mails[number].get_payload()

    def wait(self, met: Callable[[Mailbox], bool], seconds: float = 60) -> None:
        patience = time.monotonic() + seconds
        while not met(self):
            assert time.monotonic() < patience, (self.subjects(), self.posts)
            time.sleep(0.1)


def _smtp(box: Mailbox) -> type[socketserver.StreamRequestHandler]:
    class Conversation(socketserver.StreamRequestHandler):
        """RFC 5321, as much of it as a client needs that logs in nowhere."""

        def say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

        def handle(self) -> None:
            self.say("220 mail.example.gov ESMTP")
            recipients: list[str] = []
            while line := self.rfile.readline().decode(errors="replace").strip():
                verb = line[:4].upper()
                if verb == "EHLO":
                    self.say("250-mail.example.gov")
                    self.say("250 8BITMIME")
                elif verb == "MAIL":
                    recipients = []
                    self.say("451 try again later" if box.refuses else "250 ok")
                elif verb == "RCPT":
                    recipients.append(line.partition("<")[2].partition(">")[0])
                    self.say("250 ok")
                elif verb == "DATA":
                    self.say("354 end with a dot")
                    box.mails.append(message_from_bytes(self.read()))
                    box.recipients.append(recipients)
                    self.say("250 kept")
                elif verb == "QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.say("250 ok")

        def read(self) -> bytes:
            lines = []
            while (line := self.rfile.readline()) not in (b".\r\n", b""):
                lines.append(line[1:] if line.startswith(b"..") else line)
            return b"".join(lines)

    return Conversation


def _web(box: Mailbox) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if not box.refuses:
                box.posts.append(json.loads(body))
            self.send_response(503 if box.refuses else 200)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            """Nothing."""

    return Handler


class _MailServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


@contextmanager
def receiving() -> Iterator[Mailbox]:
    """Both servers, for as long as the block lasts."""
    box = Mailbox()
    mail = _MailServer(("127.0.0.1", 0), _smtp(box))
    web = ThreadingHTTPServer(("127.0.0.1", 0), _web(box))
    box.port = mail.server_address[1]
    box.webhook = f"http://127.0.0.1:{web.server_port}/services/T0/B0/topsecret"
    for server in (mail, web):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield box
    finally:
        for server in (mail, web):
            server.shutdown()
            server.server_close()
