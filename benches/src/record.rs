//! A record of realistic shape, about 300 bytes of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a service might keep of a track.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) number: u64,
    pub(crate) title: String,
    pub(crate) artist: String,
    pub(crate) comment: Option<String>,
    pub(crate) seconds: f64,
    pub(crate) year: u32,
    pub(crate) available: bool,
    pub(crate) ratings: Vec<u32>,
    pub(crate) tags: BTreeMap<String, String>,
}

impl Record {
    /// The one that all workloads send.
    pub(crate) fn sample() -> Self {
        let text = |words: &str| words.to_owned();
        Record {
            number: 7_340_032_118,
            title: text("The Unanswered Question, for trumpet, four flutes and strings"),
            artist: text("Orchestra of the Age of Measurement"),
            comment: Some(text(
                "recorded live; applause was cut, the silence before it was not",
            )),
            seconds: 361.25,
            year: 1908,
            available: true,
            ratings: vec![5, 4, 5, 3, 5, 4, 1, 5],
            tags: [
                ("genre", "contemporary classical"),
                ("mood", "patient"),
                ("key", "none to speak of"),
                ("source", "radio archive"),
            ]
            .into_iter()
            .map(|(key, value)| (text(key), text(value)))
            .collect(),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "what cannot be had fails the test")]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_about_300_bytes() {
        let length = postcard::to_stdvec(&Record::sample()).unwrap().len();
        assert!((270..=330).contains(&length), "{length}");
    }
}
