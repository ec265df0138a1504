"""A web app that checks our callbacks with the library of the Standard Webhooks specification. It says
on which port it listens, takes one callback, and ends once it has found it good in every way."""

import json
import os
from http.server import BaseHTTPRequestHandler, HTTPServer

from standardwebhooks.webhooks import Webhook, WebhookVerificationError


def refused(secret, body, headers):
    try:
        Webhook(secret).verify(body, headers)
    except WebhookVerificationError:
        return True
    return False


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        # The app may know the new secret or still the old one.
        for secret in os.environ["SECRETS"].split():
            event = Webhook(secret).verify(body, headers)
            assert event == json.loads(body)
        assert event["id"] == headers["webhook-id"]
        assert event["type"] == event["data"]["kind"] + "." + event["data"]["state"]
        assert headers["content-type"] == "application/json"
        assert refused(os.environ["STRANGE_SECRET"], body, headers)
        assert refused(secret, body.replace(b"settled", b"seltted"), headers)
        assert refused(secret, body, headers | {"webhook-id": "evt_0"})
        assert refused(secret, body, headers | {"webhook-timestamp": "1600000000"})
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Receiver)
print(server.server_port, flush=True)
server.handle_request()
