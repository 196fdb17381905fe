"""Translate SMP's access decisions for nginx's auth_request: 204 allows, 401 and 403 refuse."""

import http.server
import json
import os
import re
import urllib.error
import urllib.request

SMP_URL = os.environ.get("ENTITLEMENTS_URL", "http://127.0.0.1:8000")
PORT = int(os.environ.get("PORT", "9001"))
FEATURE = re.compile(r"[a-z][a-z0-9_.-]{0,63}")


class Gate(http.server.BaseHTTPRequestHandler):
    """GET /{feature} with the browser's cookies."""

    def do_GET(self):
        self.send_response_only(self.decide(self.path.removeprefix("/")))
        self.end_headers()

    def decide(self, feature):
        if not FEATURE.fullmatch(feature):
            return 403
        request = urllib.request.Request(
            f"{SMP_URL}/v1/me/access/{feature}", headers={"Cookie": self.headers.get("Cookie", "")}
        )
        try:
            with urllib.request.urlopen(request, timeout=1) as response:
                return 204 if json.load(response)["allowed"] else 403
        except urllib.error.HTTPError as error:
            return 401 if error.code == 401 else 503
        except OSError:
            return 503


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Gate).serve_forever()
