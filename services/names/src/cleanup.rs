//! Taking away the names of daemons that nobody can reach.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use farref::daemon_object::DaemonObjectProxy;
use farref::names::Names;
use farref::{Client, FaultKind, Uri};
use tokio::task::JoinSet;

use crate::registry::Registry;

/// How long a daemon may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often in a row a daemon must fail to answer before its names are taken away.
const MISSES: u32 = 3;

/// How many daemons are asked at once.
const AT_ONCE: usize = 16;

/// Asks all daemons that have names whether they are there, again and again.
pub(crate) async fn run(registry: Registry, client: Client, period: Duration) {
    let mut misses: HashMap<Uri, u32> = HashMap::new();
    loop {
        tokio::time::sleep(period).await;
        let places = registry.directory().places();
        misses.retain(|place, _| places.contains_key(place));
        for place in absent(&client, places.keys().cloned().collect()).await {
            match place {
                (place, true) => drop(misses.remove(&place)),
                (place, false) => *misses.entry(place).or_default() += 1,
            }
        }
        for (place, names) in places {
            if misses.get(&place).is_some_and(|misses| *misses >= MISSES) {
                misses.remove(&place);
                tracing::info!(%place, names = names.len(), "nobody answers there any more");
                remove(&registry, names).await;
            }
        }
    }
}

/// Which of these places somebody answers at.
async fn absent(client: &Client, mut places: Vec<Uri>) -> Vec<(Uri, bool)> {
    let mut asked = JoinSet::new();
    let mut answers = Vec::with_capacity(places.len());
    loop {
        while asked.len() < AT_ONCE
            && let Some(place) = places.pop()
        {
            let client = client.clone();
            asked.spawn(async move {
                let answers = is_there(&client, &place).await;
                (place, answers)
            });
        }
        match asked.join_next().await {
            Some(answer) => answers.extend(answer),
            None => return answers,
        }
    }
}

async fn is_there(client: &Client, place: &Uri) -> bool {
    let connected = client.connect::<DaemonObjectProxy>(place);
    match tokio::time::timeout(PATIENCE, connected).await {
        Ok(Ok(_)) => true,
        // Whoever refuses to speak to us is there.
        Ok(Err(fault)) => !matches!(
            fault.kind(),
            FaultKind::ConnectFailed | FaultKind::SessionLost
        ),
        Err(_) => false,
    }
}

async fn remove(registry: &Registry, names: Vec<(Arc<str>, u64)>) {
    for (name, epoch) in names {
        // Whoever registered the name anew meanwhile keeps it.
        let _ = registry.remove(&name, Some(epoch)).await;
    }
}
