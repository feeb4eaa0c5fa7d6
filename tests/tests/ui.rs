//! What the compiler says of interfaces: `ui/fail` holds one mistake each, with the message that it gets, and `ui/pass`
//! what must compile and run.
//!
//! After a change of messages, `TRYBUILD=overwrite cargo test -p farref-tests --test ui` writes them anew; then read
//! the difference.

#[test]
fn messages() {
    trybuild::TestCases::new().compile_fail("ui/fail/*/*.rs");
}

#[test]
fn programs() {
    trybuild::TestCases::new().pass("ui/pass/*.rs");
}

/// One mistake is one error of at most 25 lines.
#[test]
fn one_mistake_is_one_short_error() {
    let mut seen = 0;
    for kind in std::fs::read_dir("ui/fail").expect("is there") {
        let kind = kind.expect("is readable").path();
        for file in std::fs::read_dir(&kind).expect("is a folder") {
            let file = file.expect("is readable").path();
            if file
                .extension()
                .is_none_or(|extension| extension != "stderr")
            {
                continue;
            }
            let message = std::fs::read_to_string(&file).expect("is text");
            let errors = message
                .lines()
                .filter(|line| line.starts_with("error"))
                .count();
            let expected = if kind.ends_with("several") {
                2..=9
            } else {
                1..=1
            };
            assert!(
                expected.contains(&errors),
                "{}: {errors} errors",
                file.display()
            );
            let lines = message.lines().count();
            assert!(lines <= 25 * errors, "{}: {lines} lines", file.display());
            seen += 1;
        }
    }
    assert!(seen >= 45, "{seen} cases are too few");
}
