//! Finding out where an object is that is known by its name or by tags.

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::client::Client;
use crate::error::Result;
use crate::random;
use crate::uri::Uri;

/// The future of a [`Resolver`].
pub type Resolving<'a> = Pin<Box<dyn Future<Output = Result<Vec<Candidate>>> + Send + 'a>>;

/// Knows where objects are: what stands behind `farname:` and `farmeta:` URIs.
///
/// With the feature `names` clients ask a name server. An application that keeps its names elsewhere, in etcd or in a file,
/// implements this and gives it to [`ClientBuilder::resolver`](crate::ClientBuilder::resolver).
pub trait Resolver: Send + Sync + 'static {
    /// Returns the objects that `uri` stands for, in any order; none if there are none. The URIs of what it returns say
    /// where the objects are: others are passed over.
    ///
    /// Asked when a proxy connects, and again when its session was lost. `client` is the one that asks.
    fn resolve<'a>(&'a self, client: &'a Client, uri: &'a Uri) -> Resolving<'a>;
}

/// One of the objects that a name or tags stand for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Where it is.
    pub uri: Uri,
    /// How much it has to do, by its owner's own measure; 0 if that is not known.
    pub load: u32,
}

/// Which of several objects of one name, or of the same tags, a proxy connects to. If that fails, it tries the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Choice {
    /// Any, each as likely as every other.
    #[default]
    Random,
    /// Each in turn, counted by the client for each URI.
    RoundRobin,
    /// The one that says that it has the least to do; any of those that do.
    LeastLoaded,
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Choice::Random => "random",
            Choice::RoundRobin => "round-robin",
            Choice::LeastLoaded => "least-loaded",
        })
    }
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Choice::Random, Choice::RoundRobin, Choice::LeastLoaded]
            .into_iter()
            .find(|choice| choice.to_string() == text)
            .ok_or_else(|| "write random, round-robin or least-loaded".to_owned())
    }
}

/// How a client resolves, and whose turn it is.
pub(crate) struct Resolution {
    resolver: Arc<dyn Resolver>,
    choice: Choice,
    turns: Mutex<HashMap<Uri, usize>>,
}

/// Of how many URIs the turns are remembered.
const MAX_TURNS: usize = 1024;

impl Resolution {
    pub(crate) fn new(resolver: Arc<dyn Resolver>, choice: Choice) -> Self {
        Resolution {
            resolver,
            choice,
            turns: Mutex::default(),
        }
    }

    /// What `uri` stands for, the best first.
    pub(crate) async fn candidates(&self, client: &Client, uri: &Uri) -> Result<Vec<Uri>> {
        let mut candidates = self.resolver.resolve(client, uri).await?;
        candidates.retain(|candidate| candidate.uri.address().is_some());
        self.order(uri, &mut candidates);
        Ok(candidates
            .into_iter()
            .map(|candidate| candidate.uri)
            .collect())
    }

    fn order(&self, uri: &Uri, candidates: &mut [Candidate]) {
        if candidates.len() < 2 {
            return;
        }
        match self.choice {
            Choice::Random => shuffle(candidates),
            Choice::RoundRobin => {
                candidates.sort_unstable_by(|one, other| one.uri.cmp(&other.uri));
                candidates.rotate_left(self.turn(uri) % candidates.len());
            }
            Choice::LeastLoaded => {
                shuffle(candidates);
                candidates.sort_by_key(|candidate| candidate.load);
            }
        }
    }

    /// Counts how often this URI was resolved before.
    fn turn(&self, uri: &Uri) -> usize {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if turns.len() >= MAX_TURNS && !turns.contains_key(uri) {
            turns.clear();
        }
        let next = turns.entry(uri.clone()).or_default();
        let turn = *next;
        *next = next.wrapping_add(1);
        turn
    }
}

/// Puts the elements in an order that is as likely as every other.
fn shuffle<T>(elements: &mut [T]) {
    for last in (1..elements.len()).rev() {
        elements.swap(last, below(last + 1));
    }
}

/// A random number below `bound`, which is not 0. The bias is below 2⁻³² for any list that fits into memory.
fn below(bound: usize) -> usize {
    let random = u128::from(u64::from_le_bytes(random::bytes()));
    let scaled = (random * bound as u128) >> 64;
    usize::try_from(scaled).unwrap_or_default()
}

/// What clients have that were given no resolver and were built without one.
#[cfg(not(feature = "names"))]
pub(crate) struct NoResolver;

#[cfg(not(feature = "names"))]
impl Resolver for NoResolver {
    fn resolve<'a>(&'a self, _: &'a Client, uri: &'a Uri) -> Resolving<'a> {
        let fault = crate::client::misuse(format!(
            "{uri} has to be looked up: build farref with its feature `names`, or give the client a resolver"
        ));
        Box::pin(std::future::ready(Err(fault)))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "what cannot be had fails the test")]
mod tests {
    use super::*;

    fn candidates(loads: &[u32]) -> Vec<Candidate> {
        loads
            .iter()
            .zip(1..)
            .map(|(&load, port)| Candidate {
                uri: format!("far://h:{port}").parse().unwrap(),
                load,
            })
            .collect()
    }

    struct Nothing;

    impl Resolver for Nothing {
        fn resolve<'a>(&'a self, _: &'a Client, _: &'a Uri) -> Resolving<'a> {
            Box::pin(std::future::ready(Ok(Vec::new())))
        }
    }

    fn firsts(choice: Choice, loads: &[u32], times: usize) -> Vec<usize> {
        let resolution = Resolution::new(Arc::new(Nothing), choice);
        let known = candidates(loads);
        let uri = Uri::named("x").unwrap();
        let mut counts = vec![0; loads.len()];
        for _ in 0..times {
            let mut ordered = known.clone();
            resolution.order(&uri, &mut ordered);
            let first = known.iter().position(|candidate| *candidate == ordered[0]);
            counts[first.unwrap()] += 1;
            ordered.sort_by(|one, other| one.uri.cmp(&other.uri));
            assert_eq!(ordered, known, "none is lost");
        }
        counts
    }

    #[test]
    fn random_takes_each_about_as_often() {
        // The odds that one of three falls outside are below one in a billion.
        for count in firsts(Choice::Random, &[0, 9, 0], 3000) {
            assert!((800..1200).contains(&count), "{count}");
        }
    }

    #[test]
    fn round_robin_takes_each_in_turn() {
        assert_eq!(firsts(Choice::RoundRobin, &[5, 0, 7], 300), [100, 100, 100]);
    }

    #[test]
    fn least_loaded_takes_the_least_and_any_of_several() {
        let counts = firsts(Choice::LeastLoaded, &[5, 1, 7, 1], 400);
        assert_eq!((counts[0], counts[2]), (0, 0));
        assert!(counts[1] > 100 && counts[3] > 100, "{counts:?}");
    }
}
