//! Patterns of names: `*` stands for any characters, `?` for one, everything else for itself.

/// Whether the whole text looks like the pattern. Takes at most as many steps as the product of their lengths.
pub fn fits(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern.chars(), text.chars());
    // Where to go on if what follows the last star does not fit: after it, with one character more for the star.
    let mut retry: Option<(std::str::Chars<'_>, std::str::Chars<'_>)> = None;
    loop {
        let before = (pattern.clone(), text.clone());
        match (pattern.next(), text.next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                text = before.1.clone();
                retry = Some((pattern.clone(), before.1));
            }
            (Some('?'), Some(_)) => {}
            (Some(expected), Some(character)) if expected == character => {}
            _ => {
                let Some((after_star, from)) = &mut retry else {
                    return false;
                };
                if from.next().is_none() {
                    return false;
                }
                pattern = after_star.clone();
                text = from.clone();
            }
        }
    }
}

/// What every text begins with that fits the pattern, so that only those need to be looked at.
pub fn prefix(pattern: &str) -> &str {
    pattern.split(['*', '?']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_whole_texts() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "abc", true),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*c", "abc", true),
            ("a*c", "abcd", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXcYb", false),
            ("?", "é", true),
            ("?", "", false),
            ("a?c", "abc", true),
            ("**", "x", true),
            ("*.left", "media.left", true),
            ("*.left", "media.left.right", false),
            ("a*a", "a", false),
            ("ab", "a", false),
            ("a", "ab", false),
            ("*?b", "ab", true),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern:?} {text:?}");
        }
    }

    #[test]
    fn a_malicious_pattern_takes_no_long_time() {
        let pattern = "a*".repeat(127) + "b";
        assert!(!fits(&pattern, &"a".repeat(256)));
    }

    #[test]
    fn prefixes_end_at_the_first_placeholder() {
        assert_eq!(prefix("media.*"), "media.");
        assert_eq!(prefix("m?dia"), "m");
        assert_eq!(prefix("media"), "media");
        assert_eq!(prefix("*"), "");
    }
}
