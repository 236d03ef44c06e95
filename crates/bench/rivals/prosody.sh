#!/usr/bin/env bash
# Starts Prosody in the foreground, pinned and private: configuration, data and accounts in a directory of its own.
#   prosody.sh DIR [USERS=100] [CORE=0]
# Accounts u0, u1, ... with passwords p0, p1, ... at localhost; port 15222 (STARTTLS and plain) and 15223 (direct TLS).
set -euo pipefail
dir=$(realpath -m "$1") users=${2:-100} core=${3:-0}
mkdir -p "$dir/data" "$dir/certs"
cd "$dir"
[ -e cert.pem ] || openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 30 \
    -subj /CN=localhost -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE 2>/dev/null
cat > prosody.cfg.lua <<EOF
run_as_root = true
daemonize = false
pidfile = "$dir/prosody.pid"
data_path = "$dir/data"
log = { warn = "$dir/prosody.log" }
network_backend = "epoll"
interfaces = { "127.0.0.1" }
c2s_ports = { 15222 }
c2s_direct_tls_ports = { 15223 }
s2s_ports = { }
modules_enabled = { "roster", "saslauth", "tls", "disco", "posix", "ping", "carbons", "blocklist", "pep", "vcard4", "time" }
modules_disabled = { "s2s", "limits" }
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
authentication = "internal_hashed"
ssl = { key = "$dir/key.pem", certificate = "$dir/cert.pem" }
VirtualHost "localhost"
EOF
# Hashed passwords as Prosody stores them, written directly: prosodyctl takes a second for each.
python3 - "$dir/data/localhost/accounts" "$users" <<'EOF'
import hashlib, hmac, os, sys
where, n = sys.argv[1], int(sys.argv[2])
os.makedirs(where, exist_ok=True)
for i in range(n):
    path = f"{where}/u{i}.dat"
    if os.path.exists(path):
        continue
    salt = f"salt-of-user-{i}"
    salted = hashlib.pbkdf2_hmac("sha1", f"p{i}".encode(), salt.encode(), 10000)
    client = hmac.digest(salted, b"Client Key", "sha1")
    stored, server = hashlib.sha1(client).hexdigest(), hmac.digest(salted, b"Server Key", "sha1").hex()
    with open(path, "w") as f:
        f.write(f'return {{ ["iteration_count"] = 10000; ["salt"] = "{salt}";'
                f' ["stored_key"] = "{stored}"; ["server_key"] = "{server}"; }};\n')
EOF
exec taskset -c "$core" prosody --config "$dir/prosody.cfg.lua" -F
