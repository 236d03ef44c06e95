//! linphonec, the console of liblinphone.

use std::process::Command;

use crate::talk::until;
use crate::{DOMAIN, PASSWORD, Rialto, Talk, at, have};

/// How the phone reaches the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// SIP over UDP.
    Udp,
    /// SIP over TCP.
    Tcp,
    /// SIP over TLS, the certificate checked against the server's own authority.
    Tls,
}

/// A running linphonec.
pub struct Linphone {
    talk: Talk,
}

impl Linphone {
    /// Start a phone without waiting for its registration.
    ///
    /// # Panics
    /// If its configuration cannot be written.
    #[must_use]
    pub fn start(rialto: &Rialto, user: &str, password: &str, transport: Transport) -> Self {
        let (server, transport) = match transport {
            Transport::Udp => (format!("127.0.0.1:{}", rialto.sip()), "udp"),
            Transport::Tcp => (format!("127.0.0.1:{}", rialto.sip()), "tcp"),
            // The name is in the certificate; an address would not be compared with it.
            Transport::Tls => (format!("localhost:{}", rialto.sips()), "tls"),
        };
        let peer = format!("linphone-{user}");
        let home = rialto.home(&peer);
        std::fs::create_dir_all(home.join(".local/share/linphone")).expect("the directory is writable");
        let config = home.join("linphonerc");
        let text = format!(
            "[sip]\nsip_port=-1\nsip_tcp_port=-1\nsip_tls_port=-1\ndefault_proxy=0\nguess_hostname=0\n\
             register_only_when_network_is_up=0\nverify_server_certs=1\nroot_ca={ca}\n\
             [net]\nmtu=0\n\
             [proxy_0]\nreg_proxy=<sip:{server};transport={transport}>\n\
             reg_route=<sip:{server};transport={transport}>\nreg_identity=sip:{address}\n\
             reg_expires=600\nreg_sendregister=1\npublish=1\n\
             [auth_info_0]\nusername={user}\npasswd={password}\nrealm={DOMAIN}\ndomain={DOMAIN}\n",
            ca = rialto.ca().display(),
            address = at(user),
        );
        std::fs::write(&config, text).expect("the directory is writable");
        let mut command = Command::new(have::program("linphonec", "linphone-cli"));
        command.arg("-c").arg(&config).args(["-d", "6", "-l"]).arg(rialto.log(&format!("{peer}-sip")));
        command.env("HOME", &home);
        Self { talk: Talk::start(peer.clone(), &mut command, rialto.log(&peer)) }
    }

    /// Register and wait until that is done.
    #[must_use]
    pub fn online(rialto: &Rialto, user: &str, transport: Transport) -> Self {
        let mut phone = Self::start(rialto, user, PASSWORD, transport);
        phone.wait_for_state("registered, identity=");
        phone
    }

    /// Ask for the state of the registration until it begins like this.
    pub fn wait_for_state(&mut self, state: &str) {
        let said = format!("linphonec> {state}");
        let talk = &mut self.talk;
        until(&format!("linphonec says `{state}`"), || {
            talk.tell("status register");
            std::thread::sleep(std::time::Duration::from_millis(200));
            talk.count(&said) + talk.count(state) > 0
        });
    }

    /// Send a message; whoever is named without a domain is ours.
    pub fn send(&mut self, to: &str, text: &str) {
        self.talk.tell(format!("chat sip:{} {text}", address(to)));
    }

    /// Wait for a message.
    pub fn expect_message(&self, from: &str, text: &str) {
        self.talk.expect_words(&["Message received from", &address(from), text]);
    }

    /// Watch someone's presence.
    pub fn watch(&mut self, whom: &str) {
        self.talk.tell(format!(
            "friend add {} sip:{}",
            whom.split('@').next().unwrap_or(whom),
            address(whom)
        ));
    }

    /// Wait for someone's presence.
    pub fn expect_presence(&self, of: &str, state: &str) {
        self.talk.expect_words(&["Friend", of, "is", state]);
    }

    /// Leave, and wait until the phone has unregistered.
    pub fn quit(self) {
        self.talk.quit();
    }
}

fn address(who: &str) -> String {
    if who.contains('@') { who.to_owned() } else { at(who) }
}
