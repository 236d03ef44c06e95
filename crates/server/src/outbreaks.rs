//! What the watch for outbreaks does by itself is kept, put on record, and told to whom it is about.

use crate::house::House;
use record::Act;
use std::sync::Arc;

/// Ties the watch of a house to its hub, store and record.
pub fn attend(house: &House) {
    house.outbreaks.know_by(house.partners.clone());
    let hub = Arc::downgrade(&house.hub);
    house.outbreaks.tell_by(move |sender, text| {
        if let Some(hub) = hub.upgrade() {
            hub.say(sender, text);
        }
    });
    let (outbreaks, store) = (Arc::downgrade(&house.outbreaks), house.store.clone());
    let runtime = tokio::runtime::Handle::current();
    house.outbreaks.on_step(move |step| {
        let (outbreaks, store) = (outbreaks.clone(), store.clone());
        runtime.spawn_blocking(move || {
            let Some(outbreaks) = outbreaks.upgrade() else { return };
            if let Err(error) = outbreaks.keep_step(&step.name, crate::clock::now().unix_ms()) {
                tracing::error!(what = step.name, %error, "a containment could not be kept");
            }
            let act = Act::done(step.act, "server").on(format!("{}: {}", step.name, step.why));
            if let Err(error) = act.note(store.as_ref(), crate::clock::now()) {
                tracing::error!(what = step.name, %error, "a containment could not be put on record");
            }
        });
    });
}
