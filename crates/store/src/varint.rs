//! Numbers of varying length, seven bits to a byte, lowest first: most differences between journal numbers are small.

/// Appends a number.
pub(crate) fn put(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// Takes a number as [`put`] wrote it; `None` where there is none.
pub(crate) fn get(input: &mut &[u8]) -> Option<u64> {
    let mut n = 0u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = input.split_first()?;
        *input = rest;
        n |= u64::from(first & 0x7f) << shift;
        if *first < 0x80 {
            return Some(n);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for n in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut out = Vec::new();
            put(&mut out, n);
            let mut input = &out[..];
            assert_eq!(get(&mut input), Some(n));
            assert!(input.is_empty());
            assert_eq!(get(&mut &out[..out.len() - 1]), None);
        }
        assert_eq!(get(&mut &[0x80; 11][..]), None);
    }
}
