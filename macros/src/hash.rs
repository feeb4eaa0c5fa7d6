//! The hash by which interfaces and methods are named on the wire.

/// FNV-1a, 32 bits (<https://www.rfc-editor.org/rfc/rfc9923>).
pub(crate) fn fnv1a32(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        assert_eq!(fnv1a32(""), 0x811c_9dc5);
        assert_eq!(fnv1a32("foobar"), 0xbf9c_f968);
    }
}
