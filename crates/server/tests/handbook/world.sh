# The world in which the handbook's commands run; see commands.rs. $WORLD is a directory that ends with the test.
set -eu
mount --make-rprivate /
mkdir "$WORLD/etc"
# What only the machine's root may read stays behind.
cp -a /etc/. "$WORLD/etc" 2>/dev/null || true
mkdir -p "$WORLD/etc/rialto"
mount --bind "$WORLD/etc" /etc
for dir in /srv /var /usr/local; do
    mount -t tmpfs -o mode=755 tmpfs "$dir"
done
mkdir -p /var/lib/rialto /var/backups /var/tmp /usr/local/bin /usr/local/share/ca-certificates
mount -t proc proc /proc
ip link set lo up
chmod 755 "$WORLD/bin/sudo"
export PATH="$WORLD/bin:/usr/sbin:/usr/bin:/sbin:/bin"
export HOME="$WORLD"
cd "$WORLD"
echo "a world of its own"

fault() {
    echo "FAILED: $1: $2" >&2
    cat "$WORLD/said" >&2
    exit 1
}

run() {
    echo "$1: $2"
    echo wherefore-art-thou-7 | sh -c "$2" >"$WORLD/said" 2>&1 || fault "$1" "$2"
}

# A command that stays: it goes on in the background once it is ready.
serve() {
    echo "$1: $2"
    sh -c "exec $2" >"$WORLD/said" 2>&1 &
    tries=0
    until grep -q '^ready$' "$WORLD/said"; do
        kill -0 $! 2>/dev/null && [ $tries -lt 600 ] || fault "$1" "$2"
        tries=$((tries + 1))
        sleep 0.1
    done
}

# A piece of configuration: checked in a file that has what it leaves out.
configuration() {
    echo "$1: configuration $(echo "$2" | head -n 1)"
    if [ ! -d "$WORLD/checked" ]; then
        rialto init --data "$WORLD/checked" --domain example.com >/dev/null
        # What pages name as lists of links.
        mkdir "$WORLD/checked/lists"
        echo evil.example | tee "$WORLD/checked/lists/phishing.txt" >"$WORLD/checked/lists/good.txt"
    fi
    {
        echo 'domains = ["example.com"]'
        echo "$2"
        case $2 in *'[tls]'*) ;; *) printf '\n[tls]\ncertificate = "tls/cert.pem"\nkey = "tls/key.pem"\n' ;; esac
        printf '\n[[sip.listen]]\naddress = "127.0.0.1:5061"\ntransport = "tls"\n'
    } >"$WORLD/checked/piece.toml"
    rialto check --config "$WORLD/checked/piece.toml" >"$WORLD/said" 2>&1 || fault "$1" "$2"
}

# A policy: it stays as the file that the commands after it name.
policy() {
    echo "$1: policy $(echo "$2" | head -n 1)"
    echo "$2" >"$WORLD/policy.toml"
    rialto policy check "$WORLD/policy.toml" --config /srv/rialto/rialto.toml >"$WORLD/said" 2>&1 || fault "$1" "$2"
}
