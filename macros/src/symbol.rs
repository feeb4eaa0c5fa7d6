//! The names that the macros know, and "did you mean" for those that they do not.

/// Helper attributes of methods, in the order in which messages list them.
pub(crate) const METHOD_ATTRIBUTES: &[&str] = &[
    "oneway",
    "callback",
    "attribute",
    "signal",
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
    ("event", "signal"),
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

/// How many letters must be changed, added, removed or swapped with their neighbours.
///
/// Optimal string alignment: R. A. Wagner and R. Lowrance, "An Extension of the String-to-String Correction Problem",
/// Journal of the ACM 22 (1975).
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut rows = vec![(0..=to.len()).collect::<Vec<usize>>()];
    for i in 1..=from.len() {
        let mut row = vec![i];
        for j in 1..=to.len() {
            let changed = rows[i - 1][j - 1] + usize::from(from[i - 1] != to[j - 1]);
            let mut least = changed.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[from.len()][to.len()]
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
        assert_eq!(similar("nmae", TRAIT_OPTIONS), Some("name"));
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
