#!/usr/bin/env bash
# Starts Kamailio in the foreground, pinned and private: configuration and database in a directory of its own.
#   kamailio.sh DIR [AUTH=no|yes] [CORE=0]
# Any user may register (AUTH=yes: digest, users u0.. with passwords p0.. at localhost, registering and sending).
# Ports: 15060 UDP and TCP, 15061 TLS. Presence in memory.
set -euo pipefail
dir=$(realpath -m "$1") auth=${2:-no} core=${3:-0}
mkdir -p "$dir"
cd "$dir"
[ -e cert.pem ] || openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 30 \
    -subj /CN=localhost -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE 2>/dev/null
rm -f presence.db
for table in version:standard presence:presence; do
    sqlite3 presence.db < "/usr/share/kamailio/db_sqlite/${table#*:}-create.sql"
done
define=""
[ "$auth" = yes ] && define='#!define AUTH'
cat > kamailio.cfg <<EOF
#!KAMAILIO
$define
EOF
cat >> kamailio.cfg <<EOF
debug=0
log_stderror=yes
fork=yes
children=2
tcp_children=2
tcp_max_connections=30000
tcp_accept_aliases=no
tcp_connection_lifetime=3605
enable_tls=yes
auto_aliases=no
alias="localhost"
listen=udp:127.0.0.1:15060
listen=tcp:127.0.0.1:15060
listen=tls:127.0.0.1:15061
loadmodule "tls.so"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
loadmodule "db_sqlite.so"
loadmodule "presence.so"
loadmodule "presence_xml.so"
modparam("tls", "private_key", "$dir/key.pem")
modparam("tls", "certificate", "$dir/cert.pem")
modparam("tls", "tls_method", "TLSv1.2+")
modparam("usrloc", "db_mode", 0)
modparam("registrar", "max_contacts", 1)
modparam("presence|presence_xml", "db_url", "sqlite://$dir/presence.db")
modparam("presence", "subs_db_mode", 0)
modparam("presence", "publ_cache", 2)
modparam("presence", "server_address", "sip:127.0.0.1:15060")
modparam("presence", "send_fast_notify", 1)
modparam("presence_xml", "force_active", 1)
EOF
cat >> kamailio.cfg <<'EOF'
request_route {
    if (!mf_process_maxfwd_header("10")) { sl_send_reply("483", "Too Many Hops"); exit; }
    if (is_method("SUBSCRIBE|PUBLISH") && $rU != $null) {
        if (!t_newtran()) { sl_reply_error(); exit; }
        if (is_method("PUBLISH")) { handle_publish(); } else { handle_subscribe(); }
        exit;
    }
#!ifdef AUTH
    if (is_method("REGISTER|MESSAGE")) {
        # The password of u7 is p7.
        $var(password) = "p" + $(fU{s.substr,1,0});
        if (!pv_auth_check("localhost", "$var(password)", "0", "0")) { auth_challenge("localhost", "1"); exit; }
        consume_credentials();
    }
#!endif
    if (is_method("REGISTER")) { save("location"); exit; }
    if (!lookup("location")) { sl_send_reply("404", "Not Found"); exit; }
    if (!t_relay()) { sl_reply_error(); }
}
EOF
exec taskset -c "$core" kamailio -DD -E -m 4096 -M 16 -Y "$dir" -f "$dir/kamailio.cfg" -w "$dir"
