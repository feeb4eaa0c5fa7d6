//! Configuration from environment variables.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use crate::client::{ClientBuilder, misuse};
use crate::error::{Fault, Result};

/// The value of a variable, if it is set; an error that names it, if its value means nothing.
fn variable<T: FromStr<Err: Display>>(name: &str) -> Result<Option<T>> {
    let Some(text) = text(name)? else {
        return Ok(None);
    };
    match text.parse() {
        Ok(value) => Ok(Some(value)),
        Err(error) => Err(meaningless(name, &text, &error)),
    }
}

/// The text of a variable, if it is set.
fn text(name: &str) -> Result<Option<String>> {
    match std::env::var(name) {
        Ok(text) => Ok(Some(text)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(misuse(format!(
            "the environment variable {name} is not Unicode"
        ))),
    }
}

fn meaningless(name: &str, text: &str, error: &dyn Display) -> Fault {
    misuse(format!(
        "the environment variable {name} holds `{text}`: {error}"
    ))
}

/// A number of seconds, maybe with a fraction.
struct Seconds(Duration);

impl FromStr for Seconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let seconds: f64 = text
            .parse()
            .map_err(|_| "write a number of seconds, such as 2.5".to_owned())?;
        Duration::try_from_secs_f64(seconds)
            .map(Seconds)
            .map_err(|error| error.to_string())
    }
}

pub(crate) fn client(mut builder: ClientBuilder) -> Result<ClientBuilder> {
    if let Some(token) = variable::<String>("FARREF_TOKEN")? {
        builder = builder.token(token);
    }
    if let Some(Seconds(timeout)) = variable("FARREF_TIMEOUT")? {
        builder = builder.timeout(timeout);
    }
    if let Some(Seconds(timeout)) = variable("FARREF_CONNECT_TIMEOUT")? {
        builder = builder.connect_timeout(timeout);
    }
    if let Some(codec) = variable("FARREF_CODEC")? {
        builder = builder.codec(codec);
    }
    if let Some(codecs) = variable("FARREF_ACCEPT_CODECS")? {
        builder = builder.accept_codecs(codecs);
    }
    if let Some(retries) = variable("FARREF_MAX_RETRIES")? {
        builder = builder.max_retries(retries);
    }
    if let Some(Seconds(timeout)) = variable("FARREF_ATTEMPT_TIMEOUT")? {
        builder = builder.attempt_timeout(timeout);
    }
    if let Some(attempts) = variable("FARREF_CONNECT_ATTEMPTS")? {
        builder = builder.connect_attempts(attempts);
    }
    if let Some(choice) = variable("FARREF_CHOICE")? {
        builder = builder.choice(choice);
    }
    #[cfg(feature = "names")]
    if let Some(server) = variable("FARREF_NAME_SERVER")? {
        builder = builder.name_server_at(server);
    }
    if let Some(name) = variable::<String>("FARREF_NAME")? {
        builder = builder.name(name);
    }
    Ok(builder)
}
