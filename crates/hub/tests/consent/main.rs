//! Presence never leaks without consent: whatever people do in whatever order, nobody is told that somebody is there
//! who may not see them at that moment.

#[path = "../maker/mod.rs"]
mod maker;
mod model_of_consent;
mod world;

use model_of_consent::{Deed, Model, PEOPLE};
use proptest::prelude::*;
use world::World;

fn deeds() -> impl Strategy<Value = Vec<(usize, Deed)>> {
    let other = 0..PEOPLE;
    let deed = prop_oneof![
        4 => any::<bool>().prop_map(|open| Deed::Publish { open }),
        3 => other.clone().prop_map(Deed::Ask),
        1 => other.clone().prop_map(Deed::Leave),
        3 => other.clone().prop_map(Deed::Grant),
        2 => other.clone().prop_map(Deed::Deny),
        2 => other.clone().prop_map(Deed::Probe),
        3 => other.clone().prop_map(Deed::Lease),
        1 => other.clone().prop_map(Deed::Unlease),
        1 => other.clone().prop_map(Deed::Look),
        1 => other.clone().prop_map(Deed::Claim),
        1 => other.prop_map(Deed::Remove),
        1 => Just(Deed::Reconnect),
        1 => Just(Deed::Resume),
        1 => Just(Deed::Take),
    ];
    prop::collection::vec((0..PEOPLE, deed), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// One deed after the other: every single notification is right.
    #[test]
    fn one_after_the_other(deeds in deeds()) {
        let mut world = World::new();
        let mut model = Model::default();
        for (who, deed) in deeds {
            // The model moves first: a grant lets its own news through, a refusal stops everything after it.
            model.apply(who, deed);
            let done = world.perform(who, deed);
            if let (Deed::Remove(whom), true) = (deed, done) {
                model.removed(who, whom);
            }
            for (watcher, shown) in world.seen.drain(..) {
                prop_assert!(model.may(shown, watcher), "p{watcher} was told of p{shown}: {model:?}");
            }
        }
    }

    /// All at once: when all is quiet, nobody is left believing that somebody is there whom they may not see.
    #[test]
    fn all_at_once(deeds in deeds()) {
        let mut world = World::new();
        for (who, deed) in deeds {
            world.begin(who, deed);
        }
        world.come_to_rest();
        if let Some((watcher, shown)) = world.lasting_error() {
            prop_assert!(false, "p{watcher} still believes that p{shown} is there");
        }
    }
}
