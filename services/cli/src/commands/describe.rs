//! `farref describe`: the methods of an object, as its trait says them.

use farref::{DynProxy, InterfaceInfo, MethodInfo, MethodKind, ValueInfo};
use serde_json::{Value, json};

use crate::arguments::{Arguments, Describe};
use crate::client;
use crate::failure::Failure;
use crate::output::{BOLD, DIM, NAME, Output, paint};
use crate::types;

pub(crate) async fn run(
    arguments: &Arguments,
    describe: &Describe,
    output: &Output,
) -> Result<(), Failure> {
    let client = client::client(arguments)?;
    let object = client.dynamic(&describe.target.0).await?;
    let interface = object.interface();
    let methods: Vec<&MethodInfo> = match &describe.method {
        None => interface.methods.iter().collect(),
        Some(name) => vec![method(&object, name)?],
    };
    if output.is_json() {
        return output.value(&interface_json(interface, &methods));
    }
    let mut heading = paint(BOLD, &interface.name);
    if !interface.bases.is_empty() {
        heading += &format!(": {}", interface.bases.join(" + "));
    }
    output.line(heading)?;
    print_docs(&interface.docs, "  ", output)?;
    for method in methods {
        output.line("")?;
        output.line(format!("  {}", signature(method)))?;
        print_docs(&method.docs, "      ", output)?;
        if describe.method.is_some() {
            print_types(method, output)?;
        }
    }
    Ok(())
}

/// The method of this name, or what there is instead.
pub(crate) fn method<'o>(object: &'o DynProxy, name: &str) -> Result<&'o MethodInfo, Failure> {
    let interface = object.interface();
    interface.method(name).ok_or_else(|| {
        let near = interface
            .methods
            .iter()
            .map(|method| method.name.as_str())
            .min_by_key(|known| distance(known, name))
            .filter(|known| distance(known, name) <= 2);
        let hint = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                let known: Vec<_> = interface
                    .methods
                    .iter()
                    .map(|method| method.name.as_str())
                    .collect();
                format!("it has {}", known.join(", "))
            }
        };
        Failure::usage(format!("`{}` has no method `{name}`", interface.name)).with_hint(hint)
    })
}

/// How many characters have to be added, taken away or changed to make one text of the other (Levenshtein 1965).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, character) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, candidate) in other.iter().enumerate() {
            let changed = diagonal + usize::from(character != *candidate);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(row[column] + 1).min(row[column + 1] + 1);
        }
    }
    row[other.len()]
}

fn print_docs(docs: &str, indent: &str, output: &Output) -> Result<(), Failure> {
    for line in docs.trim().lines() {
        output.line(format!("{indent}{}", paint(DIM, line.trim())))?;
    }
    Ok(())
}

fn print_types(method: &MethodInfo, output: &Output) -> Result<(), Failure> {
    let arguments = method
        .arguments
        .iter()
        .map(|argument| (argument.name.as_str(), argument));
    let results = std::iter::once(("returns", &method.returns));
    let errors = method.error.iter().map(|error| ("fails with", error));
    output.line("")?;
    for (name, value) in arguments.chain(results).chain(errors) {
        for line in types::lines(name, &value.shape) {
            output.line(format!("      {line}"))?;
        }
    }
    Ok(())
}

/// A method as its trait says it.
fn signature(method: &MethodInfo) -> String {
    let name = paint(NAME, &method.name);
    let mut text = match method.kind {
        MethodKind::Signal => format!("{name}: Signal<{}>", method.returns.type_name),
        MethodKind::AttributeRead => format!("{name}: {}", method.returns.type_name),
        MethodKind::AttributeWrite => format!("{name}({})", arguments(method)),
        _ => {
            let returns = returns(method);
            match returns.as_str() {
                "" => format!("{name}({})", arguments(method)),
                returns => format!("{name}({}) -> {returns}", arguments(method)),
            }
        }
    };
    let marks = marks(method);
    if !marks.is_empty() {
        text += &paint(DIM, format!("  [{}]", marks.join(", ")));
    }
    text
}

fn arguments(method: &MethodInfo) -> String {
    let one = |argument: &ValueInfo| format!("{}: {}", argument.name, argument.type_name);
    let all: Vec<_> = method.arguments.iter().map(one).collect();
    all.join(", ")
}

fn returns(method: &MethodInfo) -> String {
    match (&method.error, method.returns.type_name.as_str()) {
        (Some(error), value) => format!("Result<{value}, {}>", error.type_name),
        (None, "()") => String::new(),
        (None, value) => value.to_owned(),
    }
}

/// What is special about a method, in words.
fn marks(method: &MethodInfo) -> Vec<&'static str> {
    let kind = match method.kind {
        MethodKind::AttributeRead => Some("attribute"),
        MethodKind::AttributeWrite => Some("writes an attribute"),
        MethodKind::OrderedOneway => Some("oneway, ordered"),
        MethodKind::Stream => Some("stream"),
        MethodKind::Signal => Some("signal"),
        kind if kind.is_oneway() => Some("oneway"),
        _ => None,
    };
    let flags = method.flags;
    let marks = [
        kind,
        (flags.idempotent && method.kind != MethodKind::Signal).then_some("idempotent"),
        flags.no_cancel.then_some("runs to its end"),
        flags.callback.then_some("callback"),
        method.deprecated.then_some("deprecated"),
    ];
    marks.into_iter().flatten().collect()
}

fn interface_json(interface: &InterfaceInfo, methods: &[&MethodInfo]) -> Value {
    json!({
        "name": interface.name,
        "docs": interface.docs.trim(),
        "bases": interface.bases,
        "methods": methods.iter().map(|method| method_json(method)).collect::<Value>(),
    })
}

fn method_json(method: &MethodInfo) -> Value {
    json!({
        "name": method.name,
        "interface": method.interface,
        "docs": method.docs.trim(),
        "kind": method.kind,
        "flags": method.flags,
        "deprecated": method.deprecated,
        "arguments": method.arguments,
        "returns": method.returns,
        "error": method.error,
    })
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn distances_count_changes() {
        for (one, other, expected) in [
            ("", "", 0),
            ("abc", "abc", 0),
            ("abc", "abd", 1),
            ("abc", "ac", 1),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(one, other), expected, "{one} {other}");
            assert_eq!(distance(other, one), expected, "{other} {one}");
        }
    }
}
