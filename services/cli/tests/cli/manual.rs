//! `completions` and `man`.

use crate::support::Place;

#[test]
fn every_shell_gets_a_script() {
    let place = Place::new();
    for (shell, expected) in [
        ("bash", "complete -F _farref"),
        ("zsh", "#compdef farref"),
        ("fish", "complete -c farref"),
    ] {
        let said = place.prints(["completions", shell]);
        assert!(said.contains(expected), "{shell}: {said}");
        assert!(said.contains("lookup"), "{shell}");
        let json = place.json(["completions", shell]);
        assert_eq!(
            json["script"].as_str().map(str::trim_end),
            Some(said.trim_end())
        );
    }
}

#[test]
fn there_is_a_manual_page_for_every_command() {
    let place = Place::new();
    let said = place.prints(["man"]);
    assert!(
        said.contains(".TH farref 1") && said.contains("Exit codes"),
        "{said}"
    );
    assert!(place.json(["man"])["farref.1"].is_string());

    let folder = place.folder.path().join("man");
    let folder = folder.to_str().unwrap();
    let written = place.json(["man", "--dir", folder]);
    let help = place.prints(["--help"]);
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let commands = commands.take_while(|line| !line.is_empty());
    let mut count = 0;
    for command in commands.filter_map(|line| line.split_whitespace().next()) {
        if command == "help" {
            continue;
        }
        count += 1;
        let path = written[format!("farref-{command}.1")].as_str().unwrap();
        let page = std::fs::read_to_string(path).unwrap();
        assert!(page.contains(".TH"), "{command}: {page}");
    }
    assert!(count >= 13, "{count}");
    assert_eq!(written.as_object().unwrap().len(), count + 1);
    assert!(
        place
            .prints(["man", "--dir", folder])
            .contains("farref-call.1")
    );
}
