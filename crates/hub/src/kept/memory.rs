//! What is written down of an account besides its sessions.

use super::fields::*;
use model::{Address, Device, Endpoint};

/// What the clients of a house believe of the presence of somebody, and nobody may say again.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Memory {
    /// Devices of an account of ours that were there otherwise than by a session that waits.
    pub said: Vec<Option<Device>>,
    /// Devices of people elsewhere, as its own sessions were told.
    pub abroad: Vec<(Address, Vec<Option<Device>>)>,
    /// Those who may see the account by consent, and were kept from it by the rules.
    pub veiled: Vec<Address>,
    /// Devices that wait no more, and to whom each had shown itself directly.
    pub directed: Vec<(Endpoint, Vec<Endpoint>)>,
}

impl Memory {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        nest(&mut out, SAID_OF, |out| devices(out, &self.said));
        for (who, there) in &self.abroad {
            nest(&mut out, ABROAD, |out| devices_of(out, who, there));
        }
        nest(&mut out, VEILED, |out| addresses(out, &self.veiled));
        for (device, to) in &self.directed {
            nest(&mut out, DIRECTED_BY, |out| {
                nest(out, DIRECTED, |out| endpoint(out, device));
                to.iter().for_each(|to| nest(out, DIRECTED, |out| endpoint(out, to)));
            });
        }
        out
    }

    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut memory = Self::default();
        for field in fields(versioned(bytes)?) {
            match field? {
                (SAID_OF, v) => memory.said = read_devices(v)?,
                (ABROAD, v) => memory.abroad.push(whom(v)?),
                (VEILED, v) => memory.veiled = read_addresses(v)?,
                (DIRECTED_BY, v) => {
                    let ends: Option<Vec<_>> = fields(v).map(|field| read_endpoint(field?.1)).collect();
                    let mut ends = ends?.into_iter();
                    memory.directed.push((ends.next()?, ends.collect()));
                }
                _ => return None,
            }
        }
        Some(memory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_memory_reads_the_same() {
        let phone = Some(Device::new("phone").unwrap());
        let carol = Address::parse("carol@example.org").unwrap();
        let device = Endpoint { address: carol.clone(), device: phone.clone() };
        let memory = Memory {
            said: vec![None, phone.clone()],
            abroad: vec![(carol.clone(), vec![phone])],
            veiled: vec![carol.clone()],
            directed: vec![(device.clone(), vec![device, carol.into()])],
        };
        assert_eq!(Memory::parse(&memory.to_bytes()), Some(memory));
    }
}
