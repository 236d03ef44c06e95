"""Publishes or takes away a TXT record in Pebble's DNS: PORT set|clear NAME VALUE."""

import json
import sys
import urllib.request

port, act, name, value = sys.argv[1:]
body = {"host": name + "."}
if act == "set":
    body["value"] = value
path = "set-txt" if act == "set" else "clear-txt"
urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", json.dumps(body).encode(), timeout=10).read()
