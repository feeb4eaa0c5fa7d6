//! The names that the macros know, and "did you mean" for those that they do not.

/// Helper attributes of methods, in the order in which messages list them.
pub(crate) const METHOD_ATTRIBUTES: &[&str] = &[
    "oneway",
    "callback",
    "attribute",
    "local",
    "idempotent",
    "no_cancel",
    "blocking",
    "name",
    "expose",
];

/// What `#[expose(..)]` takes on a trait.
pub(crate) const TRAIT_OPTIONS: &[&str] = &["name", "crate", "local", "callback"];

/// What `#[expose(..)]` takes on a method.
pub(crate) const METHOD_OPTIONS: &[&str] = &["name", "spawn"];

/// Names that every proxy has already.
pub(crate) const PROXY_NAMES: &[&str] = &["new", "shared", "serial", "pinned", "DESCRIPTOR"];

/// Attributes of related frameworks, with the one that does the same here.
const SYNONYMS: &[(&str, &str)] = &[
    ("noreply", "oneway"),
    ("notification", "oneway"),
    ("property", "attribute"),
    ("readonly", "attribute"),
    ("rename", "name"),
    ("skip", "local"),
    ("uncancellable", "no_cancel"),
];

/// Supertraits of the standard library. Every other supertrait is taken for an interface.
const STANDARD_TRAITS: &[&str] = &[
    "Any",
    "Clone",
    "Debug",
    "Default",
    "Display",
    "Eq",
    "Error",
    "Hash",
    "Ord",
    "PartialEq",
    "PartialOrd",
    "RefUnwindSafe",
    "Send",
    "Sized",
    "Sync",
    "Unpin",
    "UnwindSafe",
];

/// Whether a supertrait of this name says something about the object and is no interface.
pub(crate) fn is_standard_trait(name: &str) -> bool {
    STANDARD_TRAITS.contains(&name)
}

/// The known name that was probably meant by an unknown one.
pub(crate) fn similar(unknown: &str, known: &[&'static str]) -> Option<&'static str> {
    let synonym = SYNONYMS
        .iter()
        .find(|(name, _)| *name == unknown)
        .map(|(_, meant)| *meant);
    if let Some(meant) = synonym.filter(|meant| known.contains(meant)) {
        return Some(meant);
    }
    let tolerated = if unknown.len() > 5 { 2 } else { 1 };
    known
        .iter()
        .map(|name| (distance(unknown, name), *name))
        .filter(|(distance, _)| *distance <= tolerated)
        .min()
        .map(|(_, name)| name)
}

/// Lists names as messages show them: `` `a`, `b` ``.
pub(crate) fn list(names: &[&str]) -> String {
    names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// The Levenshtein distance: how many letters must be changed, added or removed.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, letter) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, other) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_finds_what_was_meant() {
        assert_eq!(similar("oneeway", METHOD_ATTRIBUTES), Some("oneway"));
        assert_eq!(similar("one_way", METHOD_ATTRIBUTES), Some("oneway"));
        assert_eq!(similar("idempotant", METHOD_ATTRIBUTES), Some("idempotent"));
        assert_eq!(similar("property", METHOD_ATTRIBUTES), Some("attribute"));
        assert_eq!(similar("names", TRAIT_OPTIONS), Some("name"));
    }

    #[test]
    fn attributes_of_the_language_are_no_typos() {
        for known in [
            "allow",
            "cold",
            "inline",
            "must_use",
            "doc",
            "cfg",
            "deprecated",
            "expect",
            "instrument",
        ] {
            assert_eq!(similar(known, METHOD_ATTRIBUTES), None, "{known}");
        }
    }
}
