//! What vendors add to the place in a trace: the grammar of `tracestate`, W3C Trace Context, 3.3.

use std::collections::HashSet;

/// Members of the longest state.
const MAX_MEMBERS: usize = 32;
/// Bytes of the longest state that is passed on.
const MAX_BYTES: usize = 512;
/// Characters of the longest key, and of the longest value.
const MAX_PART: usize = 256;
/// Characters of the longest tenant and of the longest system that a key may consist of.
const MAX_TENANT: usize = 241;
const MAX_SYSTEM: usize = 14;

/// Whether a state may be passed on.
pub(super) fn is_valid(state: &str) -> bool {
    if state.len() > MAX_BYTES {
        return false;
    }
    let mut keys = HashSet::new();
    for member in state.split(',') {
        let member = member.trim_matches([' ', '\t']);
        if member.is_empty() {
            continue;
        }
        let Some((key, value)) = member.split_once('=') else {
            return false;
        };
        if !is_key(key) || !is_value(value) || !keys.insert(key) || keys.len() > MAX_MEMBERS {
            return false;
        }
    }
    true
}

fn is_key(key: &str) -> bool {
    match key.split_once('@') {
        None => is_word(key, MAX_PART, false),
        Some((tenant, system)) => {
            is_word(tenant, MAX_TENANT, true) && is_word(system, MAX_SYSTEM, false)
        }
    }
}

fn is_word(word: &str, most: usize, may_begin_with_a_digit: bool) -> bool {
    let bytes = word.as_bytes();
    let Some(first) = bytes.first() else {
        return false;
    };
    bytes.len() <= most
        && (first.is_ascii_lowercase() || (may_begin_with_a_digit && first.is_ascii_digit()))
        && bytes.iter().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/".contains(byte)
        })
}

fn is_value(value: &str) -> bool {
    let bytes = value.as_bytes();
    (1..=MAX_PART).contains(&bytes.len())
        && !value.ends_with(' ')
        && bytes
            .iter()
            .all(|byte| matches!(byte, 0x20..=0x7e) && *byte != b',' && *byte != b'=')
}

#[cfg(test)]
mod tests {
    use super::is_valid;

    #[test]
    fn what_the_recommendation_allows_is_passed_on() {
        let long = format!("key={}", "v".repeat(256));
        for state in [
            "",
            "rojo=00f067aa0ba902b7",
            "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
            "rojo=1 , \tcongo=2,,",
            "a_-*/9=inner space!",
            "0tenant@system=1",
            long.as_str(),
        ] {
            assert!(is_valid(state), "{state:?}");
        }
    }

    #[test]
    fn what_it_does_not_allow_is_left_out() {
        let members: Vec<_> = (0..33).map(|number| format!("k{number}=1")).collect();
        let too_many = members.join(",");
        let long_value = format!("key={}", "v".repeat(257));
        let long_key = format!("{}=1", "k".repeat(257));
        let long = format!("a={},b={}", "v".repeat(255), "v".repeat(255));
        for state in [
            "rojo",
            "=1",
            "rojo=",
            "Rojo=1",
            "0rojo=1",
            "rojo=1,rojo=2",
            "rojo=a=b",
            "rojo=\u{e9}",
            "t@=1",
            "@s=1",
            "t@s@u=1",
            "tenant@systemthatislong=1",
            too_many.as_str(),
            long_value.as_str(),
            long_key.as_str(),
            long.as_str(),
        ] {
            assert!(!is_valid(state), "{state:?}");
        }
        assert!(is_valid(&members[..32].join(",")));
    }
}
