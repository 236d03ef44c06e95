//! Golden dialogues: one machine, its wire and its hub as text.

mod player;

macro_rules! transcripts {
    ($($name:ident),* $(,)?) => {$(
        #[test]
        fn $name() {
            player::play(concat!(stringify!($name), ".txt"));
        }
    )*};
}

transcripts!(
    register_digest,
    register_wrong_password,
    register_replayed_nonce,
    register_many_contacts,
    guesses_at_once,
    guesses_udp,
    message_in_tcp,
    message_unregistered_tls,
    message_out_udp,
    message_out_tcp,
    subscribe_approved,
    subscribe_refresh_and_end,
    subscribe_elsewhere,
    publish_etag,
    odd_requests,
    one_at_a_time,
    inherited_udp,
    call_out_tcp,
    call_refused,
    call_in_udp,
    trunk_calls,
    trunk_cpim,
    recorded_tcp,
    recorded_udp,
    trunk_accepted,
    trunk_asked_again,
    trunk_away,
    trunk_dialled,
    trunk_expired,
    trunk_forged,
    trunk_lost,
    trunk_untrusted,
    trunk_unwatched,
    trunk_watched,
    trunk_watching,
);
